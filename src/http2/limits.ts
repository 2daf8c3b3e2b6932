export interface ConnectionLimits {
  /** How many streams of the peer there may be at once: 1024, as Envoy. */
  readonly streams: number
  /** How much of a body may be on its way before it is read, by stream and for all: 1 MiB, 16 MiB. */
  readonly streamWindow: number
  readonly connectionWindow: number
  /** Of a list of fields: 60 KiB and 100 of them, as Envoy. */
  readonly headerList: number
  readonly fields: number
  /** The largest id of a stream that a client begins: 2^31-1, which no id can exceed. */
  readonly lastStream: number
}

export const defaultLimits: ConnectionLimits = {
  streams: 1024,
  streamWindow: 1 << 20,
  connectionWindow: 1 << 24,
  headerList: 60 * 1024,
  fields: 100,
  lastStream: 2 ** 31 - 1,
}
