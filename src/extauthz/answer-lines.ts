import type { HeaderMap } from '../match/header-map.ts'
import { joinLines } from '../policy/header-lines.ts'

/** Headers of an answer that Envoy keeps in one slot, so that lines are joined with a bare `,` (measured on 1.40). */
const joined: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-allow-private-network',
  'access-control-expose-headers',
  'access-control-max-age',
  'age',
  'cache-control',
  'content-encoding',
  'content-type',
  'etag',
  'expires',
  'grpc-message',
  'grpc-status',
  'last-modified',
  'location',
  'proxy-status',
  'vary',
  'via',
  'x-envoy-attempt-count',
  'x-envoy-degraded',
  'x-envoy-immediate-health-check-fail',
  'x-envoy-ratelimited',
  'x-envoy-upstream-canary',
  'x-envoy-upstream-healthchecked-cluster',
])

/** Makes one line of each such header that has several. */
export function joinAnswerLines(headers: HeaderMap): void {
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i)
    if (joined.has(name) && headers.indexOf(name, i + 1) !== -1) headers.set(name, joinLines(headers.all(name)))
  }
}
