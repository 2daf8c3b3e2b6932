import { parseIp, printGroups } from '../../../../match/ip.ts'

/** Addresses as Go sees them: one number of 128 bits, where those of IPv4 are `::ffff:a.b.c.d`. */
export type Address = bigint

const MAPPED = 0xffffn << 32n

export function isV4(address: Address): boolean {
  return address >> 32n === 0xffffn
}

/** Null for what is no address. */
export function parseAddress(text: string): Address | null {
  const ip = parseIp(text)
  if (ip === null) return null
  if (!ip.v6) return MAPPED | BigInt(ip.a)
  return [ip.a, ip.b, ip.c, ip.d].reduce((sum, word) => (sum << 32n) | BigInt(word), 0n)
}

/** A range of addresses with a common beginning. */
export interface Network {
  readonly first: Address
  readonly last: Address
  /** Of 128, or of 32 where `v4`. */
  readonly bits: number
  /** Whether all its addresses are of IPv4. */
  readonly v4: boolean
}

/** Null for what is no CIDR. Of an address inside the network its beginning is taken. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf('/')
  const address = slash === -1 ? null : parseAddress(text.slice(0, slash))
  const length = text.slice(slash + 1)
  if (address === null || !/^0*[0-9]{1,3}$/.test(length)) return null
  const written = !text.slice(0, slash).includes(':')
  const bits = Number(length)
  if (bits > (written ? 32 : 128)) return null
  return network(address, written ? bits + 96 : bits)
}

/** `bits` of 128. */
export function network(address: Address, bits: number): Network {
  const free = (1n << BigInt(128 - bits)) - 1n
  const first = address & ~free
  const v4 = bits >= 96 && isV4(first)
  return { first, last: first | free, bits: v4 ? bits - 96 : bits, v4 }
}

/** An address of IPv4 is in no network of IPv6, even in one whose numbers include it. */
export function contains({ first, last, v4 }: Network, address: Address): boolean {
  return address >= first && address <= last && isV4(address) === v4
}

export function printAddress(address: Address): string {
  if (isV4(address)) return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 0xffn).join('.')
  return printGroups(Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn)))
}

export function printNetwork({ first, bits }: Network): string {
  return `${printAddress(first)}/${bits}`
}

/** The fewest networks that together are exactly these addresses. */
export function cover(first: Address, last: Address): Network[] {
  const networks: Network[] = []
  for (let at = first; at <= last; ) {
    let bits = 128
    while (bits > 0) {
      const wider = network(at, bits - 1)
      if (wider.first !== at || wider.last > last) break
      bits--
    }
    const found = network(at, bits)
    networks.push(found)
    at = found.last + 1n
  }
  return networks
}
