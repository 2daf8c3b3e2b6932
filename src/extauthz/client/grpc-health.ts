import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.js'
import { frameMessage, grpcStatus, printGrpcTimeout } from '../grpc-framing.ts'
import { readUnaryAnswer } from './grpc-answer.ts'
import type { GrpcLane } from './grpc-lane.ts'
import type { UnaryEnd } from './unary-connection.ts'

const healthPath = '/grpc.health.v1.Health/Check'

/** Asks whether a service is SERVING; null where the question did not get there. An endpoint without the health protocol is taken as healthy, as gRPC's clients do. */
export function probeGrpc(lane: GrpcLane, service: string, timeout: number): Promise<boolean | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      call.cancel()
      resolve(false)
    }, timeout)
    timer.unref()
    const call = lane.connection.call({
      path: healthPath,
      headers: lane.headers,
      callHeaders: ['grpc-timeout', printGrpcTimeout(timeout)],
      message: frameMessage(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
      ended: (end) => {
        clearTimeout(timer)
        resolve(isServing(end))
      },
    })
  })
}

function isServing(end: UnaryEnd): boolean | null {
  if (end.kind !== 'answered') return end.kind === 'lost' ? false : null
  const response = readUnaryAnswer(end)
  if (response.kind === 'status') return response.status === String(grpcStatus.unimplemented)
  if (response.kind !== 'message') return false
  try {
    return fromBinary(HealthCheckResponseSchema, response.message).status === HealthCheckResponse_ServingStatus.SERVING
  } catch {
    return false
  }
}
