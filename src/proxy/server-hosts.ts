import { type LocalReply, textReply } from './local-reply.ts'

/** Whether a server's host, `*`, `*.SUFFIX` or a name, takes a lower-case name. */
export function hostMatches(pattern: string, name: string): boolean {
  if (pattern === '*') return true
  const lower = pattern.toLowerCase()
  return lower.startsWith('*.') ? name.length > lower.length - 1 && name.endsWith(lower.slice(1)) : name === lower
}

/**
 * What a gateway answers to a request that the policies have let through and no server of its connection takes, or whose
 * server wants it in TLS. Null: it goes on. `forwardedProto` is what X-Forwarded-Proto came to.
 */
export function serverReply(
  hosts: readonly string[],
  redirected: readonly string[],
  { host, path }: { readonly host: string; readonly path: string },
  forwardedProto: string | undefined,
): LocalReply | null {
  const name = host.replace(/:\d*$/, '').toLowerCase()
  if (forwardedProto !== 'https' && redirected.some((pattern) => hostMatches(pattern, name))) {
    const reply = textReply(301, '')
    return { ...reply, headers: [...reply.headers, ['location', `https://${host}${path}`]] }
  }
  return hosts.some((pattern) => hostMatches(pattern, name)) ? null : textReply(404, '')
}
