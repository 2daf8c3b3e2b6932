/**
 * An IP address as numbers. An IPv4 address has `v6` false and its 32 bits in `a`; an IPv6 address has its 128 bits in
 * `a`, `b`, `c`, `d`, most significant first. All are unsigned.
 */
export interface IpAddress {
  readonly v6: boolean
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

/** A masked network; host bits of the user's text have been cleared. */
export interface IpBlock {
  readonly address: IpAddress
  readonly bits: number
}

/** Null when `text` is no address. Zones (`%eth0`) are refused; an IPv4-mapped IPv6 address stays IPv6. */
export function parseIp(text: string): IpAddress | null {
  return text.includes(':') ? parseV6(text) : parseV4(text)
}

/**
 * The address of a socket: an IPv4 client of a dual-stack listener shows as IPv4-mapped and is IPv4 to every policy,
 * as in Envoy.
 */
export function parseSocketIp(text: string): IpAddress | null {
  const ip = parseIp(text)
  const mapped = ip?.v6 && ip.a === 0 && ip.b === 0 && ip.c === 0xffff
  return mapped ? { v6: false, a: ip.d, b: 0, c: 0, d: 0 } : ip
}

/**
 * An address (then /32 or /128) or a CIDR range. Null when `text` is neither. The zone of a single address is left out,
 * as Istio leaves it out.
 */
export function parseIpBlock(text: string): IpBlock | null {
  const slash = text.indexOf('/')
  const address = parseIp(slash === -1 ? withoutZone(text) : text.slice(0, slash))
  if (address === null) return null
  const most = address.v6 ? 128 : 32
  if (slash === -1) return { address, bits: most }
  const length = text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length)) return null
  const bits = Number(length)
  return bits > most ? null : { address: mask(address, bits), bits }
}

/** Only an IPv6 address has a zone, and an empty one is none. */
function withoutZone(text: string): string {
  const at = text.indexOf('%')
  return at > 0 && at < text.length - 1 && text.lastIndexOf(':', at) !== -1 ? text.slice(0, at) : text
}

export function blockContains(block: IpBlock, address: IpAddress): boolean {
  const network = block.address
  if (network.v6 !== address.v6) return false
  const bits = block.bits
  if (!network.v6) return ((address.a ^ network.a) & maskWord(bits)) === 0
  return (
    ((address.a ^ network.a) & maskWord(bits)) === 0 &&
    ((address.b ^ network.b) & maskWord(bits - 32)) === 0 &&
    ((address.c ^ network.c) & maskWord(bits - 64)) === 0 &&
    ((address.d ^ network.d) & maskWord(bits - 96)) === 0
  )
}

export function printIp(ip: IpAddress): string {
  if (!ip.v6) return [ip.a >>> 24, (ip.a >>> 16) & 255, (ip.a >>> 8) & 255, ip.a & 255].join('.')
  if (ip.a === 0 && ip.b === 0 && ip.c === 0xffff) return `::ffff:${printIp({ ...ip, v6: false, a: ip.d })}`
  // As inet_ntop, and so Envoy, writes an address that only its last 32 bits tell from zero.
  if (ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d >>> 16 !== 0) return `::${printIp({ ...ip, v6: false, a: ip.d })}`
  return printGroups([ip.a, ip.b, ip.c, ip.d].flatMap((word) => [word >>> 16, word & 0xffff]))
}

/** The eight groups of an IPv6 address, of 16 bits each, as RFC 5952 writes them in hexadecimal. */
export function printGroups(groups: readonly number[]): string {
  const text = groups.map((group) => group.toString(16)).join(':')
  // The longest run of two or more zero groups, the first of equals, becomes `::`.
  const runs = text.match(/(?:(?:^|:)0(?=:|$)){2,}/g) ?? []
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '')
  if (longest === '') return text
  const at = text.indexOf(longest)
  return `${text.slice(0, at)}::${text.slice(at + longest.length).replace(/^:/, '')}`
}

function maskWord(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}

function mask(ip: IpAddress, bits: number): IpAddress {
  return {
    v6: ip.v6,
    a: (ip.a & maskWord(bits)) >>> 0,
    b: (ip.b & maskWord(bits - 32)) >>> 0,
    c: (ip.c & maskWord(bits - 64)) >>> 0,
    d: (ip.d & maskWord(bits - 96)) >>> 0,
  }
}

function parseV4(text: string): IpAddress | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let word = 0
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null
    word = word * 256 + Number(part)
  }
  return { v6: false, a: word, b: 0, c: 0, d: 0 }
}

function parseV6(text: string): IpAddress | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = parseGroups(halves[0] as string, halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] as string, true) : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const word = (i: number) => (((groups[i] as number) << 16) | (groups[i + 1] as number)) >>> 0
  return { v6: true, a: word(0), b: word(2), c: word(4), d: word(6) }
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 address may end the text. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part)
      if (v4 === null) return null
      groups.push(v4.a >>> 16, v4.a & 0xffff)
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
    } else {
      return null
    }
  }
  return groups
}
