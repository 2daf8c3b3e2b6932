/** RFC 9113, section 6. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** RFC 9113, section 7. */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

export const FRAME_HEADER = 9

/** What a client sends before its first frame (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Until SETTINGS_MAX_FRAME_SIZE says otherwise, and what is announced here. */
export const DEFAULT_FRAME_SIZE = 16_384
export const DEFAULT_WINDOW = 65_535
export const LARGEST_WINDOW = 0x7fff_ffff

/** Writes the nine octets of a frame's header. The room must be there. */
export function writeFrameHeader(
  to: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  to[at] = length >>> 16
  to[at + 1] = length >>> 8
  to[at + 2] = length
  to[at + 3] = type
  to[at + 4] = flags
  to[at + 5] = stream >>> 24
  to[at + 6] = stream >>> 16
  to[at + 7] = stream >>> 8
  to[at + 8] = stream
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/**
 * Where the padding of a padded frame begins (RFC 9113, sections 6.1 and 6.2): its length stands in the octet at `from`.
 * Not behind that octet when the padding is longer than the frame.
 */
export function paddingStart(bytes: Uint8Array, from: number, to: number): number {
  return from < to ? to - (bytes[from] as number) : from
}

/** Takes one frame, whose payload stands between `from` and `to`. Not true ends the reading. */
export type TakeFrame = (
  type: number,
  flags: number,
  stream: number,
  bytes: Buffer,
  from: number,
  to: number,
) => boolean

/** Cuts what comes from a socket into frames. Holds back less than one frame. */
export class FrameReader {
  readonly #most: number
  readonly #take: TakeFrame
  #rest: Buffer | null = null

  /** `most`: how long a payload may be, which was announced to the peer. */
  constructor(most: number, take: TakeFrame) {
    this.#most = most
    this.#take = take
  }

  /** False when a frame was longer than `most`, or was not taken: then nothing may be read any more. */
  read(chunk: Buffer, start = 0): boolean {
    let bytes = chunk
    let at = start
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, start === 0 ? chunk : chunk.subarray(start)])
      at = 0
    }
    while (bytes.length - at >= FRAME_HEADER) {
      const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
      if (length > this.#most) return false
      const from = at + FRAME_HEADER
      const end = from + length
      if (end > bytes.length) break
      const stream = readUint32(bytes, at + 5) & 0x7fff_ffff
      if (!this.#take(bytes[at + 3] as number, bytes[at + 4] as number, stream, bytes, from, end)) return false
      at = end
    }
    // A copy, so that a small rest does not hold the whole chunk.
    this.#rest = at === bytes.length ? null : Buffer.from(bytes.subarray(at))
    return true
  }
}
