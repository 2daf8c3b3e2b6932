/** What serves gRPC where nothing else is asked for. */
export { createHttp2Transport as createDefaultTransport } from './http2-transport.ts'
