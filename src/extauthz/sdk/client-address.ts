import { parseSocketIp, printIp } from '../../match/ip.ts'
import type { AuthorizerRequest } from '../server/request.ts'

export interface ClientAddressOptions {
  /**
   * How many proxies stand between the client and the proxy that asks, each of which appends its peer to
   * `x-forwarded-for`: 0, the default, when clients connect to the proxy that asks; 1 for a sidecar behind a gateway.
   */
  readonly trustedProxies?: number
}

/**
 * The client's IP address, as far as proxies of your own vouch for it, in its usual spelling; null when they do not: the
 * chain is shorter than `trustedProxies`, or what stands at that place is no address. A client can write any number of
 * entries to the left of that place, and none to its right.
 *
 * The chain is `x-forwarded-for` and then the peer of the proxy that asks, once if that proxy has appended it already.
 * Over HTTP the proxy does not tell its peer, which counts as unknown, so that only `trustedProxies` above 0 are of use.
 */
export function clientAddress(
  request: Pick<AuthorizerRequest, 'headers' | 'source'>,
  { trustedProxies = 0 }: ClientAddressOptions = {},
): string | null {
  if (!Number.isInteger(trustedProxies) || trustedProxies < 0) {
    throw new RangeError('clientAddress: trustedProxies must be an integer that is not negative')
  }
  const peer = canonical(request.source.ip)
  const forwarded = (request.headers['x-forwarded-for'] ?? '').split(',').map((entry) => entry.trim())
  if (forwarded.length === 1 && forwarded[0] === '') forwarded.pop()
  const appended = peer !== null && canonical(forwarded.at(-1) ?? '') === peer
  const chain = appended ? forwarded : [...forwarded, request.source.ip]
  return canonical(chain[chain.length - 1 - trustedProxies] ?? '')
}

function canonical(text: string): string | null {
  const ip = parseSocketIp(text)
  return ip === null ? null : printIp(ip)
}
