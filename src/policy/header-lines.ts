import type { HeaderMap } from '../match/header-map.ts'

/**
 * Headers that Envoy keeps in one slot: repeated lines are joined with a bare `,` and tested as one value, while every
 * other header is tested line by line (measured on Envoy 1.40).
 */
const joined: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'access-control-request-headers',
  'access-control-request-method',
  'access-control-request-private-network',
  'authorization',
  'cache-control',
  'cdn-loop',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'grpc-accept-encoding',
  'grpc-timeout',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'origin',
  'pragma',
  'proxy-status',
  'referer',
  'te',
  'user-agent',
  'via',
  'x-client-trace-id',
  'x-envoy-attempt-count',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-external-address',
  'x-envoy-original-host',
  'x-envoy-original-path',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-request-id',
])

export function isJoinedHeader(name: string): boolean {
  return joined.has(name)
}

/** The lines of such a header as one value; empty lines add nothing. */
export function joinLines(lines: readonly string[]): string {
  return lines.filter((line) => line !== '').join(',')
}

/** Makes one line of each such header that has several: what is judged as one value must be forwarded as one. */
export function joinRepeatedHeaders(headers: HeaderMap): void {
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i)
    if (headers.indexOf(name, i + 1) !== -1 && joined.has(name)) headers.set(name, joinLines(headers.all(name)))
  }
}

/** Names of pseudo headers and what stands for them; null for ordinary ones. */
export type PseudoHeader = ':authority' | ':method' | ':path' | ':scheme'

export function isPseudoHeader(name: string): name is PseudoHeader {
  return name === ':authority' || name === ':method' || name === ':path' || name === ':scheme'
}
