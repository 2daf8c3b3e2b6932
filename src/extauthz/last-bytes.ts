import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** How long, in milliseconds, the rest of a refused request's body is read so that the client sees the answer. */
const LINGER = 1_000

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

/**
 * After an answer that came before its request's end: reads and drops the rest for a moment, since closing at once would
 * reset the connection and take the answer from the client.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  const { socket } = request
  const timer = setTimeout(() => socket.destroy(), LINGER)
  timer.unref()
  // Behind a connection's last answer Node closes it in both directions at once.
  let last = false
  socket.destroySoon = () => {
    last = true
    sendLastBytes(socket)
  }
  const stop = () => {
    clearTimeout(timer)
    // From here on the class's own is right again.
    Reflect.deleteProperty(socket, 'destroySoon')
    if (last) socket.destroySoon()
  }
  request
    .once('end', stop)
    .once('close', stop)
    .on('error', () => {})
  request.resume()
}
