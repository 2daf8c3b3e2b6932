import { blockContains, type IpBlock, parseIpBlock, parseSocketIp } from '../match/ip.ts'

/**
 * Where no key set is ever fetched from: link-local networks and the few other addresses at which clouds serve credentials of
 * the machine. A policy's author chooses the URI, and must not reach them through the proxy.
 */
const blocked: readonly IpBlock[] = [
  '169.254.0.0/16',
  'fe80::/10',
  // The same IPv4 network behind NAT64 and 6to4.
  '64:ff9b::a9fe:0/112',
  '2002:a9fe::/32',
  // Amazon, Google, Alibaba, Oracle, Azure.
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
].map((text) => parseIpBlock(text) as IpBlock)

/** `address` without brackets; a zone (`%eth0`) does not matter. What is no address is blocked. */
export function isBlockedAddress(address: string): boolean {
  const ip = parseSocketIp(address.replace(/%.*$/, ''))
  return ip === null || blocked.some((block) => blockContains(block, ip))
}
