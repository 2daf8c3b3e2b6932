import * as net from 'node:net'
import type { SocketEndpoint } from '../mesh/sidecar.ts'
import { CONNECT_TIMEOUT } from './limits.ts'

/** Opens a plaintext connection; `done` is called once. */
export function connectPlain(
  endpoint: SocketEndpoint,
  done: (error: Error | null, socket: net.Socket | null) => void,
  allowHalfOpen = false,
): net.Socket {
  const socket =
    endpoint.kind === 'unix'
      ? net.connect({ path: endpoint.path, allowHalfOpen })
      : net.connect({ host: endpoint.host, port: endpoint.port, allowHalfOpen })
  socket.setNoDelay(true)
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error('connect timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' }))
  }, CONNECT_TIMEOUT)
  const failed = (error: Error) => {
    clearTimeout(timer)
    done(error, null)
  }
  socket.once('error', failed)
  socket.once('connect', () => {
    clearTimeout(timer)
    socket.off('error', failed)
    done(null, socket)
  })
  return socket
}
