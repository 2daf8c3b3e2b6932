import { type LocalReply, textReply } from './local-reply.ts'

/** Whether a server's host, `*`, `*.SUFFIX` or a name, takes a lower-case name. */
export function hostMatches(pattern: string, name: string): boolean {
  if (pattern === '*') return true
  const lower = pattern.toLowerCase()
  return lower.startsWith('*.') ? name.length > lower.length - 1 && name.endsWith(lower.slice(1)) : name === lower
}

/** What becomes of a request that the policies let through. It is settled before they are asked, as Envoy's route is. */
export type Routing = 'forward' | 'redirect' | 'none'

/**
 * `redirect` where a gateway's server wants the request in TLS, `none` where no server of its connection takes the host.
 * `forwardedProto` is what X-Forwarded-Proto came to.
 */
export function serverRouting(
  hosts: readonly string[],
  redirected: readonly string[],
  host: string,
  forwardedProto: string | undefined,
): Routing {
  const name = host.replace(/:\d*$/, '').toLowerCase()
  const takes = (patterns: readonly string[]) => patterns.some((pattern) => hostMatches(pattern, name))
  if (forwardedProto !== 'https' && takes(redirected)) return 'redirect'
  return takes(hosts) ? 'forward' : 'none'
}

/** What a request that is not forwarded is answered; null for one that is. */
export function routingReply(
  routing: Routing,
  { host, path }: { readonly host: string; readonly path: string },
): LocalReply | null {
  switch (routing) {
    case 'forward':
      return null
    case 'none':
      return textReply(404, '')
    case 'redirect': {
      const reply = textReply(301, '')
      return { ...reply, headers: [...reply.headers, ['location', `https://${host}${path}`]] }
    }
    default:
      return routing satisfies never
  }
}
