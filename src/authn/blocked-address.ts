import { blockContains, type IpBlock, parseIpBlock, parseSocketIp } from '../match/ip.ts'

/**
 * Where no key set is ever fetched from: link-local networks, in which clouds serve credentials of the machine. A
 * policy's author chooses the URI, and must not reach them through the proxy.
 */
const blocked: readonly IpBlock[] = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254'].map(
  (text) => parseIpBlock(text) as IpBlock,
)

/** `address` without brackets; a zone (`%eth0`) does not matter. What is no address is blocked. */
export function isBlockedAddress(address: string): boolean {
  const ip = parseSocketIp(address.replace(/%.*$/, ''))
  return ip === null || blocked.some((block) => blockContains(block, ip))
}
