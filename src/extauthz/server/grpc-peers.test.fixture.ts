import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import grpc from '@grpc/grpc-js'
import type { Fields, Logger } from '../../observe/log.ts'
import type { CheckResponse } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from '../../proto/gen/grpc/health/v1/health_pb.js'
import { type Authorizer, type AuthorizerOptions, createAuthorizer, deny } from '../index.ts'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'

export const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

/** A logger that keeps what it is told. */
export function recording(): { readonly logger: Logger; readonly lines: [message: string, fields: Fields][] } {
  const lines: [string, Fields][] = []
  const add = (message: string, fields: Fields = {}) => lines.push([message, fields])
  return { logger: { level: 'debug', debug: add, info: add, warn: add, error: add }, lines }
}

/** To be ended after the last test of a file. */
export const running: (() => unknown)[] = []
after(() => Promise.all(running.map((end) => end())))

export interface Started {
  readonly authorizer: Authorizer
  readonly client: grpc.Client
  readonly port: number
}

/** An authorizer on a free port, and a grpc-js client of it. */
export async function start(options: Partial<AuthorizerOptions> = {}): Promise<Started> {
  const authorizer = createAuthorizer({ check: () => deny(), logger: silent, ...options })
  const { grpc: address } = await authorizer.listen({ grpc: '127.0.0.1:0' })
  assert(address)
  const client = new grpc.Client(`127.0.0.1:${address.port}`, grpc.credentials.createInsecure())
  running.push(
    () => client.close(),
    () => authorizer.close({ grace: 100 }),
  )
  return { authorizer, client, port: address.port }
}

export function get(path: string, headers: Record<string, string> = {}): MessageInitShape<typeof CheckRequestSchema> {
  return { attributes: { request: { http: { method: 'GET', path, host: 'web.foo', protocol: 'HTTP/1.1', headers } } } }
}

export function encodeCheck(message: MessageInitShape<typeof CheckRequestSchema>): Buffer {
  return Buffer.from(toBinary(CheckRequestSchema, create(CheckRequestSchema, message)))
}

const same = (bytes: Buffer) => bytes

/** A unary call: bytes in, bytes out. */
export function call(
  client: grpc.Client,
  path: string,
  message: Uint8Array,
  options: grpc.CallOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, value?: Buffer) => (error ? reject(error) : resolve(value as Buffer))
    client.makeUnaryRequest(path, same, same, Buffer.from(message), new grpc.Metadata(), options, done)
  })
}

export async function check(
  client: grpc.Client,
  message: MessageInitShape<typeof CheckRequestSchema>,
  options: grpc.CallOptions = {},
): Promise<CheckResponse> {
  return fromBinary(CheckResponseSchema, await call(client, checkPath, encodeCheck(message), options))
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
