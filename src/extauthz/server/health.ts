import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.js'
import { grpcStatus } from '../grpc-framing.ts'
import type { GrpcReply, GrpcStream, GrpcStreamingMethod } from './grpc-transport.ts'

export const healthCheckPath = '/grpc.health.v1.Health/Check'
export const healthWatchPath = '/grpc.health.v1.Health/Watch'

/** Callers that watch at a time; more are refused. */
const mostWatchers = 1000

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus

/** grpc.health.v1: one state for all services of the server. */
export class HealthService {
  readonly #services: ReadonlySet<string>
  readonly #watchers = new Set<GrpcStream>()
  #serving = false

  /** `services` are those that the protocol knows by name; the empty name is the whole server. */
  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services])
  }

  get serving(): boolean {
    return this.#serving
  }

  set serving(serving: boolean) {
    if (serving === this.#serving) return
    this.#serving = serving
    const message = encode(this.#status())
    for (const watcher of this.#watchers) watcher.send(message)
  }

  check(bytes: Uint8Array): GrpcReply {
    const service = readService(bytes)
    if (service === null) return { kind: 'status', status: grpcStatus.internal, text: notARequest }
    if (!this.#services.has(service)) return { kind: 'status', status: grpcStatus.notFound, text: 'unknown service' }
    return { kind: 'message', message: encode(this.#status()) }
  }

  /** The state at once, then each change. A service that is unknown stays so. */
  readonly watch: GrpcStreamingMethod = (stream) => {
    let asked = false
    return {
      message: (bytes) => {
        const service = readService(bytes)
        if (asked || service === null) {
          stream.end(grpcStatus.invalidArgument, asked ? 'one message asks' : notARequest)
        } else if (this.#watchers.size >= mostWatchers) {
          stream.end(grpcStatus.resourceExhausted, 'too many watchers at a time')
        } else if (this.#services.has(service)) {
          this.#watchers.add(stream)
          stream.send(encode(this.#status()))
        } else stream.send(encode(SERVICE_UNKNOWN))
        asked = true
      },
      halfClosed: () => {
        if (!asked) stream.end(grpcStatus.invalidArgument, 'nothing is asked')
      },
      closed: () => this.#watchers.delete(stream),
    }
  }

  #status(): HealthCheckResponse_ServingStatus {
    return this.#serving ? SERVING : NOT_SERVING
  }
}

const notARequest = 'the message is no HealthCheckRequest'

function readService(bytes: Uint8Array): string | null {
  try {
    return fromBinary(HealthCheckRequestSchema, bytes).service
  } catch {
    return null
  }
}

function encode(status: HealthCheckResponse_ServingStatus): Uint8Array {
  return toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status }))
}
