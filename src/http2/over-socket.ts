import type { Duplex } from 'node:stream'
import { type ConnectionEvents, Http2Connection } from './connection.ts'
import { ErrorCode } from './frames.ts'
import type { ConnectionLimits } from './limits.ts'

/** Octets that may wait for a peer that does not read; more end the connection. */
const MOST_WAITING = 1 << 24

/** Octets of answers that wait before no more requests are read, and milliseconds for them to leave. */
const MOST_UNREAD = 1 << 18
const UNREAD = 30_000

/** Milliseconds in which a peer reads what was said last. */
const LINGER = 1000

/**
 * Speaks HTTP/2 over a socket, which is closed with the connection. `events.closed` is the last that is heard of either.
 */
export function speakOver(
  socket: Duplex,
  role: 'server' | 'client',
  limits: Partial<ConnectionLimits>,
  events: ConnectionEvents,
): Http2Connection {
  const encrypted = 'encrypted' in socket
  const connection = new Http2Connection({
    role,
    limits,
    now: () => performance.now(),
    // What a client asks comes from many sockets, each with its own turn: all that were ready go out as one write.
    later: role === 'client' ? setImmediate : queueMicrotask,
    write: (bytes) => {
      socket.write(bytes)
      const waiting = socket.writableLength
      if (waiting > MOST_WAITING) socket.destroy()
      else if (waiting > MOST_UNREAD && role === 'server') pauseUntilRead(socket)
      // TLS goes on with it in its own time.
      return waiting === 0 && !encrypted
    },
    events: {
      ...events,
      closed: (code, reason) => {
        hangUp(socket)
        events.closed(code, reason)
      },
    },
  })
  socket.on('data', (chunk: Buffer) => connection.receive(chunk))
  socket.on('end', () => connection.end('the peer has ended the connection'))
  socket.on('error', () => socket.destroy())
  socket.once('close', () => connection.end('the connection was lost'))
  return connection
}

/**
 * A server's alone: were both sides to wait for each other, neither would go on. While nothing is read, an end is not
 * noticed, and a peer that has gone would never be.
 */
function pauseUntilRead(socket: Duplex): void {
  if (socket.isPaused()) return
  socket.pause()
  const timer = setTimeout(() => socket.destroy(), UNREAD)
  timer.unref()
  const done = () => {
    clearTimeout(timer)
    socket.off('drain', done).off('close', done)
    socket.resume()
  }
  socket.once('drain', done).once('close', done)
}

/** Ends a connection that nobody uses any more; streams that are open end with it. */
export function closeConnection(connection: Http2Connection): void {
  connection.destroy(ErrorCode.noError, 'the connection is closed')
}

function hangUp(socket: Duplex): void {
  if (socket.destroyed) return
  socket.end()
  const timer = setTimeout(() => socket.destroy(), LINGER)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}
