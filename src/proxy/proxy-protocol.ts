import type { IpAddress } from '../match/ip.ts'
import { parseIp } from '../match/ip.ts'

/** The two ends of a connection as the proxy in front has accepted it. */
export interface ProxiedEnds {
  readonly source: IpAddress
  readonly sourcePort: number
  readonly destination: IpAddress
  readonly destinationPort: number
}

/** What the first bytes of a connection say. */
export type ProxyHeader =
  /** Nothing can be told before there are at least so many bytes. */
  | { readonly kind: 'more'; readonly wanted: number }
  /** There is no header, or none that can be believed: the connection has to end. */
  | { readonly kind: 'malformed' }
  /** `ends` is null where the proxy speaks for itself (LOCAL, UNKNOWN): the socket's own ends count then. */
  | { readonly kind: 'header'; readonly length: number; readonly ends: ProxiedEnds | null }

/** Version 1 with its CRLF, by the protocol's definition. */
const MOST_TEXT = 107
/** Version 2 before its addresses. */
const FIXED = 16
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const PREFIX = Buffer.from('PROXY ', 'latin1')

const MALFORMED: ProxyHeader = { kind: 'malformed' }

/**
 * Reads a PROXY protocol header, version 1 or 2, at the beginning of a connection. Strict: what the definition does not
 * allow is malformed. As in Envoy, datagrams count like streams, UNIX sockets and unspecified families are refused, and
 * no end may be a multicast, broadcast or unspecified address. At most 65,551 bytes are asked for, by their own length.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return { kind: 'more', wanted: 1 }
  if (bytes[0] === SIGNATURE[0]) return readBinary(bytes)
  return readText(bytes)
}

function readText(bytes: Buffer): ProxyHeader {
  const compared = Math.min(bytes.length, PREFIX.length)
  if (bytes.compare(PREFIX, 0, compared, 0, compared) !== 0) return MALFORMED
  const end = bytes.subarray(0, MOST_TEXT).indexOf('\r\n')
  if (end === -1) return bytes.length >= MOST_TEXT ? MALFORMED : { kind: 'more', wanted: bytes.length + 1 }
  const [, family, ...words] = bytes.toString('latin1', 0, end).split(' ')
  const length = end + 2
  // The definition has a receiver ignore whatever follows.
  if (family === 'UNKNOWN') return { kind: 'header', length, ends: null }
  if ((family !== 'TCP4' && family !== 'TCP6') || words.length !== 4) return MALFORMED
  const [from = '', to = '', fromPort = '', toPort = ''] = words
  const v6 = family === 'TCP6'
  return header(length, addressOf(from, v6), portOf(fromPort), addressOf(to, v6), portOf(toPort))
}

function addressOf(text: string, v6: boolean): IpAddress | null {
  const address = parseIp(text)
  return address?.v6 === v6 ? address : null
}

/** Decimal without leading zeros. */
function portOf(text: string): number | null {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return null
  const port = Number(text)
  return port > 65535 ? null : port
}

function readBinary(bytes: Buffer): ProxyHeader {
  const compared = Math.min(bytes.length, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, compared, 0, compared) !== 0) return MALFORMED
  if (bytes.length < FIXED) return { kind: 'more', wanted: FIXED }
  const versionAndCommand = bytes[12]
  const local = versionAndCommand === 0x20
  if (!local && versionAndCommand !== 0x21) return MALFORMED
  const length = FIXED + bytes.readUInt16BE(14)
  const addresses = local ? 0 : addressBytes(bytes[13] as number)
  if (addresses === null || length < FIXED + addresses) return MALFORMED
  if (bytes.length < length) return { kind: 'more', wanted: length }
  if (!areExtensions(bytes.subarray(FIXED + addresses, length), local)) return MALFORMED
  if (local) return { kind: 'header', length, ends: null }
  const v6 = addresses === 36
  const size = v6 ? 16 : 4
  const ports = FIXED + 2 * size
  return header(
    length,
    binaryAddress(bytes, FIXED, v6),
    bytes.readUInt16BE(ports),
    binaryAddress(bytes, FIXED + size, v6),
    bytes.readUInt16BE(ports + 2),
  )
}

/** How many bytes the addresses of a family take; null for one that names nobody whom a policy could know. */
function addressBytes(family: number): number | null {
  switch (family) {
    case 0x11:
    case 0x12:
      return 12
    case 0x21:
    case 0x22:
      return 36
    default:
      return null
  }
}

/** Type, length, value, until the end. A LOCAL header's rest has no form that could be relied on. */
function areExtensions(bytes: Buffer, local: boolean): boolean {
  if (local) return true
  let at = 0
  while (at < bytes.length) {
    if (at + 3 > bytes.length) return false
    at += 3 + bytes.readUInt16BE(at + 1)
  }
  return at === bytes.length
}

function binaryAddress(bytes: Buffer, at: number, v6: boolean): IpAddress {
  const word = (i: number) => bytes.readUInt32BE(at + 4 * i)
  return v6 ? { v6, a: word(0), b: word(1), c: word(2), d: word(3) } : { v6, a: word(0), b: 0, c: 0, d: 0 }
}

function header(
  length: number,
  source: IpAddress | null,
  sourcePort: number | null,
  destination: IpAddress | null,
  destinationPort: number | null,
): ProxyHeader {
  if (source === null || destination === null || sourcePort === null || destinationPort === null) return MALFORMED
  if (!isUnicast(source) || !isUnicast(destination)) return MALFORMED
  return { kind: 'header', length, ends: { source, sourcePort, destination, destinationPort } }
}

function isUnicast({ v6, a, b, c, d }: IpAddress): boolean {
  if (v6) return a >>> 24 !== 0xff && (a | b | c | d) !== 0
  return a !== 0 && a !== 0xffffffff && a >>> 28 !== 0xe
}
