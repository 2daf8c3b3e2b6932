import type { GrpcHandler, GrpcTransportEvents, GrpcTransportLimits } from './grpc-transport.ts'

/** What all calls of a transport have in common, and what they hold together. */
export interface CallContext {
  readonly handler: GrpcHandler
  readonly limits: GrpcTransportLimits
  readonly events: GrpcTransportEvents
  calls: number
  streamingCalls: number
  bufferedBytes: number
}
