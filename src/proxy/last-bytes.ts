import type { Duplex } from 'node:stream'
import { LINGER } from './limits.ts'

/**
 * Sends the last bytes of a connection and ends it. What the peer still sends is read and dropped for a moment, or the
 * last bytes could be lost; a peer that never closes its side does not keep the connection for longer.
 */
export function sendLastBytes(socket: Duplex, bytes?: Buffer): void {
  socket.on('error', () => {})
  socket.once('finish', () => {
    const timer = setTimeout(() => socket.destroy(), LINGER)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  })
  if (bytes === undefined) socket.end()
  else socket.end(bytes)
  socket.resume()
}
