import { Buffer } from 'node:buffer'
import { Gathered } from './gathered.ts'

/** gRPC status codes that this room speaks of. */
export const grpcStatus = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const

/** The largest message that is read, as in grpc-go: 4 MiB. */
export const maxMessageBytes = 4 * 1024 * 1024

const prefixBytes = 5

/** A length-prefixed message, not compressed. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, prefixBytes)
  return framed
}

/** Fills in the first five octets of a buffer, which holds a message behind them. */
export function setPrefix(framed: Buffer): Buffer {
  framed[0] = 0
  framed.writeUInt32BE(framed.length - prefixBytes, 1)
  return framed
}

export type Framing =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  | { readonly kind: 'compressed' }
  | { readonly kind: 'tooLarge' }
  /** Cut short, empty, more than one message, or a flag that means nothing. */
  | { readonly kind: 'malformed' }

/** The one message of a unary call, which stands between `from` and `to` and is not copied. */
export function readMessage(bytes: Buffer, from: number, to: number, limit: number): Framing {
  if (to - from < prefixBytes) return { kind: 'malformed' }
  const flag = bytes[from]
  const length = bytes.readUInt32BE(from + 1)
  if (flag === 1) return { kind: 'compressed' }
  if (flag !== 0) return { kind: 'malformed' }
  if (length > limit) return { kind: 'tooLarge' }
  if (to - from !== prefixBytes + length) return { kind: 'malformed' }
  return { kind: 'message', message: bytes.subarray(from + prefixBytes, to) }
}

/** Collects the one message of a unary call that comes in parts. Holds little more than `limit` bytes and the prefix. */
export class MessageReader {
  readonly #limit: number
  readonly #gathered = new Gathered()

  constructor(limit: number = maxMessageBytes) {
    this.#limit = limit
  }

  /** Returns false when nothing that follows could make this a message within the limit. */
  push(chunk: Uint8Array): boolean {
    const left = this.#limit + prefixBytes - this.#gathered.length
    // One more than there may be says that there are too many.
    this.#gathered.add(chunk, 0, Math.min(chunk.length, left + 1))
    return chunk.length <= left
  }

  /** What has been read, once the stream has ended or `push` returned false. */
  finish(): Framing {
    const { octets } = this.#gathered
    return readMessage(octets, 0, octets.length, this.#limit)
  }
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000001 }

/** The longest delay of a timer. */
const maxDelay = 2 ** 31 - 1

/** A `grpc-timeout` in milliseconds, rounded up to a whole one and at most 2^31-1; null when it is none. */
export function parseGrpcTimeout(text: string): number | null {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text)
  if (match === null) return null
  return Math.min(maxDelay, Math.ceil(Number(match[1]) * (unitMs[match[2] as string] as number)))
}

/** Eight digits are the most that the header holds. */
export function printGrpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms))
  return whole <= 99_999_999 ? `${whole}m` : `${Math.min(99_999_999, Math.ceil(whole / 1000))}S`
}

/** `grpc-message`: UTF-8, percent-encoded but for visible ASCII. */
export function encodeGrpcMessage(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
