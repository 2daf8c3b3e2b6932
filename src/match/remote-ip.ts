import type { HeaderMap } from './header-map.ts'
import type { IpAddress } from './ip.ts'
import { parseIp } from './ip.ts'

/**
 * The client's address. At a sidecar (`trustedHops` null) it is the last X-Forwarded-For entry, which the client controls.
 * A gateway believes as many proxies as it is told to: with none it is the socket's peer, with N the Nth entry from the
 * right, before the gateway has added its own. What is not there or is no address means the socket's peer.
 */
export function remoteIpOf(headers: HeaderMap, peer: IpAddress, trustedHops: number | null = null): IpAddress {
  if (trustedHops === 0 || headers.indexOf('x-forwarded-for') === -1) return peer
  return entryFromRight(headers, (trustedHops ?? 1) - 1) ?? peer
}

/** Lines join with a comma, so entries are counted from the end of the last line; an empty line adds none. */
function entryFromRight(headers: HeaderMap, skip: number): IpAddress | null {
  const lines = headers.all('x-forwarded-for').filter((line) => line !== '')
  let left = skip
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i] as string
    for (let end = line.length; end >= 0; ) {
      const comma = end === 0 ? -1 : line.lastIndexOf(',', end - 1)
      if (left === 0) return parseIp(line.slice(comma + 1, end).trim())
      left--
      end = comma
    }
  }
  return null
}
