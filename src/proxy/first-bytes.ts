import type { Socket } from 'node:net'
import { HANDSHAKE_TIMEOUT } from './limits.ts'

/** What a look at the first bytes of a connection has come to. */
export type Look<T> =
  /** To be asked again when there are so many bytes. */
  | { readonly kind: 'more'; readonly wanted: number }
  /** `taken` bytes are used up, the others are put back. */
  | { readonly kind: 'seen'; readonly taken: number; readonly value: T }

/**
 * Shows the first bytes of a connection to `look` until that has seen enough, then hands the socket on, paused. It bounds
 * the bytes by what it wants. A client that ends or says too little for 15 seconds is closed, as by Envoy's listener
 * filters at a gateway.
 */
export function seeFirstBytes<T>(socket: Socket, look: (bytes: Buffer) => Look<T>, seen: (value: T) => void): void {
  const chunks: Buffer[] = []
  let size = 0
  let wanted = 1
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT)
  timer.unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', read).off('end', ended).off('close', stop)
  }
  const ended = () => {
    stop()
    socket.destroy()
  }
  const read = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size < wanted) return
    const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    chunks.splice(0, chunks.length, bytes)
    const result = look(bytes)
    if (result.kind === 'more') {
      wanted = result.wanted
      return
    }
    stop()
    socket.pause()
    if (result.taken < bytes.length) socket.unshift(bytes.subarray(result.taken))
    seen(result.value)
  }
  socket.on('data', read).once('end', ended).once('close', stop)
  socket.resume()
}
