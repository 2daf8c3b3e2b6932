import type { NetworkInterfaceInfo } from 'node:os'
import { type IpAddress, parseIp } from '../../match/ip.ts'

/** The machine's first IPv4 address that is not the loopback's, as Envoy finds its own; null without one. */
export function ownAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): IpAddress | null {
  for (const addresses of Object.values(interfaces)) {
    const found = addresses?.find(({ family, internal }) => family === 'IPv4' && !internal)
    if (found !== undefined) return parseIp(found.address)
  }
  return null
}
