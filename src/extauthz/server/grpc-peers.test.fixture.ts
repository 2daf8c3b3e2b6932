import { Buffer } from 'node:buffer'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import grpc from '@grpc/grpc-js'
import type { Fields, Logger } from '../../observe/log.ts'
import type { CheckResponse } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from '../../proto/gen/grpc/health/v1/health_pb.js'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'

export const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

/** A logger that keeps what it is told. */
export function recording(): { readonly logger: Logger; readonly lines: [message: string, fields: Fields][] } {
  const lines: [string, Fields][] = []
  const add = (message: string, fields: Fields = {}) => lines.push([message, fields])
  return { logger: { level: 'debug', debug: add, info: add, warn: add, error: add }, lines }
}

export function get(path: string, headers: Record<string, string> = {}): MessageInitShape<typeof CheckRequestSchema> {
  return { attributes: { request: { http: { method: 'GET', path, host: 'web.foo', protocol: 'HTTP/1.1', headers } } } }
}

export function encodeCheck(message: MessageInitShape<typeof CheckRequestSchema>): Buffer {
  return Buffer.from(toBinary(CheckRequestSchema, create(CheckRequestSchema, message)))
}

const same = (bytes: Buffer) => bytes

export function check(
  client: grpc.Client,
  message: MessageInitShape<typeof CheckRequestSchema>,
  options: grpc.CallOptions = {},
): Promise<CheckResponse> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      checkPath,
      same,
      same,
      encodeCheck(message),
      new grpc.Metadata(),
      options,
      (error: grpc.ServiceError | null, value?: Buffer) => {
        if (error !== null) reject(error)
        else resolve(fromBinary(CheckResponseSchema, value as Buffer))
      },
    )
  })
}

/** The states that a watcher is told, and the status at the end. */
export interface Watching {
  readonly states: number[]
  /** Resolves with the states so far when there are so many. */
  told(count: number): Promise<number[]>
  readonly ended: Promise<number>
  cancel(): void
}

export function watchHealth(client: grpc.Client, service = ''): Watching {
  const bytes = Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })))
  const call = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, bytes)
  const states: number[] = []
  let wake = () => {}
  call.on('data', (message: Buffer) => {
    states.push(fromBinary(HealthCheckResponseSchema, message).status)
    wake()
  })
  const ended = new Promise<number>((resolve) => {
    call.on('error', (error: grpc.ServiceError) => resolve(error.code))
    call.on('end', () => resolve(0))
  })
  return {
    states,
    ended,
    cancel: () => call.cancel(),
    async told(count) {
      while (states.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return states.slice(0, count)
    },
  }
}
