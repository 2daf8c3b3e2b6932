import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { defaultLimits, type GrpcHandler, type GrpcTransportLimits } from './grpc-transport.ts'
import { createHttp2Transport } from './http2-transport.ts'

/** A gRPC server on a free port of 127.0.0.1. */
export async function serveGrpc(
  handler: GrpcHandler,
  limits: GrpcTransportLimits = defaultLimits,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const transport = createHttp2Transport(handler, limits)
  const server = createServer({ noDelay: true }, (socket) => transport.accept(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      await transport.close(0)
    },
  }
}
