import { DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode, LARGEST_WINDOW, readUint32 } from './frames.ts'

/** RFC 9113, section 6.5.2. */
const id = { tableSize: 1, enablePush: 2, maxStreams: 3, initialWindow: 4, maxFrameSize: 5, maxHeaderList: 6 } as const

/** What one side allows the other. */
export interface Settings {
  readonly tableSize: number
  readonly maxStreams: number
  readonly initialWindow: number
  readonly maxFrameSize: number
}

/** What holds until SETTINGS say otherwise. */
export const defaultSettings: Settings = {
  tableSize: 4096,
  maxStreams: Number.POSITIVE_INFINITY,
  initialWindow: DEFAULT_WINDOW,
  maxFrameSize: DEFAULT_FRAME_SIZE,
}

/** The settings after those of a frame, or the error that they are. */
export function readSettings(before: Settings, payload: Buffer): Settings | ErrorCode {
  if (payload.length % 6 !== 0) return ErrorCode.frameSizeError
  let { tableSize, maxStreams, initialWindow, maxFrameSize } = before
  for (let at = 0; at < payload.length; at += 6) {
    const value = readUint32(payload, at + 2)
    switch (payload.readUInt16BE(at)) {
      case id.tableSize:
        tableSize = value
        break
      case id.enablePush:
        if (value > 1) return ErrorCode.protocolError
        break
      case id.maxStreams:
        maxStreams = value
        break
      case id.initialWindow:
        if (value > LARGEST_WINDOW) return ErrorCode.flowControlError
        initialWindow = value
        break
      case id.maxFrameSize:
        if (value < DEFAULT_FRAME_SIZE || value > 0xff_ffff) return ErrorCode.protocolError
        maxFrameSize = value
        break
      // What else there is says nothing that this side would heed.
      default:
    }
  }
  return { tableSize, maxStreams, initialWindow, maxFrameSize }
}

export interface OwnSettings {
  readonly role: 'server' | 'client'
  readonly maxStreams: number
  readonly initialWindow: number
  readonly maxHeaderList: number
}

/** The payload of this side's first SETTINGS. */
export function writeSettings({ role, maxStreams, initialWindow, maxHeaderList }: OwnSettings): Buffer {
  const rows: (readonly [number, number])[] = [
    role === 'client' ? [id.enablePush, 0] : [id.maxStreams, maxStreams],
    [id.initialWindow, initialWindow],
    [id.maxHeaderList, maxHeaderList],
  ]
  const payload = Buffer.allocUnsafe(rows.length * 6)
  for (const [i, [key, value]] of rows.entries()) {
    payload.writeUInt16BE(key, i * 6)
    payload.writeUInt32BE(value, i * 6 + 2)
  }
  return payload
}
