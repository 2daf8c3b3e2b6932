import { parseIp, printIp } from '../../match/ip.ts'
import type { CidrRange } from './matchers.ts'

/** An address or range that has been parsed before, with the host bits that the user wrote, as Istio leaves them. */
export function cidrRange(written: string, bits: number): CidrRange {
  const [address = ''] = written.split(/[/%]/)
  const ip = parseIp(address)
  if (ip === null) throw new Error(`not an address: ${address}`)
  const mapped = ip.v6 && ip.a === 0 && ip.b === 0 && ip.c === 0xffff
  const text = mapped ? `::ffff:${printIp({ v6: false, a: ip.d, b: 0, c: 0, d: 0 })}` : printIp(ip)
  return { address_prefix: text, prefix_len: bits }
}
