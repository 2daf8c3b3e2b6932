/** What serves gRPC where nothing else is asked for. */
export { createNodeTransport as createDefaultTransport } from './node-transport.ts'
