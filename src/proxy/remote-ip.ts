import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import { parseIp } from '../match/ip.ts'

/**
 * The client's address at a sidecar: the last X-Forwarded-For entry, which the client controls, else the socket's
 * peer. Lines join with a comma, so the last entry is that of the last line.
 */
export function remoteIpOf(headers: HeaderMap, peer: IpAddress): IpAddress {
  let last = -1
  for (let i = headers.indexOf('x-forwarded-for'); i !== -1; i = headers.indexOf('x-forwarded-for', i + 1)) last = i
  if (last === -1) return peer
  const line = headers.valueAt(last)
  return parseIp(line.slice(line.lastIndexOf(',') + 1).trim()) ?? peer
}
