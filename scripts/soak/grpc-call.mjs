import { connect } from 'node:http2'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { CheckRequestSchema, CheckResponseSchema } from '../../dist/proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from '../../dist/proto/gen/grpc/health/v1/health_pb.js'
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../dist/proto/gen/grpc/reflection/v1/reflection_pb.js'

export const METHODS = {
  check: '/envoy.service.auth.v3.Authorization/Check',
  health: '/grpc.health.v1.Health/Check',
  watch: '/grpc.health.v1.Health/Watch',
  reflection: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
}
/** Milliseconds for what must come at once. */
const PATIENCE = 15_000

export function frame(message) {
  const framed = Buffer.alloc(5 + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, 5)
  return framed
}

/** A CheckRequest of a request with these headers. */
export function checkMessage(headers, path = '/direct') {
  const http = { id: '1', method: 'GET', path, host: 'soak', scheme: 'http', protocol: 'HTTP/1.1', headers }
  return frame(toBinary(CheckRequestSchema, create(CheckRequestSchema, { attributes: { request: { http } } })))
}

/** Whether a CheckResponse allows. */
export function allows(message) {
  return (fromBinary(CheckResponseSchema, message).status?.code ?? 0) === 0
}

export const healthMessage = frame(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, {})))

/** SERVING is 1. */
export function healthOf(message) {
  return fromBinary(HealthCheckResponseSchema, message).status
}

export const listMessage = frame(
  toBinary(
    ServerReflectionRequestSchema,
    create(ServerReflectionRequestSchema, { messageRequest: { case: 'listServices', value: '' } }),
  ),
)

export function servicesOf(message) {
  const { messageResponse: found } = fromBinary(ServerReflectionResponseSchema, message)
  return found.case === 'listServicesResponse' ? found.value.service.map(({ name }) => name) : []
}

/** A connection by node:http2, an implementation that is not ours. Its end shows in its calls. */
export function openSession(port) {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  return session
}

/**
 * One call whose request is `bytes`. Resolves to `{ status, messages }`; rejects when the connection or the call ends
 * without a status, or nothing comes. `leave` is called with the stream once the request has been sent.
 */
export function call(session, path, bytes, { headers = {}, leave = null, end = true } = {}) {
  return new Promise((resolve, reject) => {
    const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers }
    let stream
    try {
      stream = session.request(fields)
    } catch (error) {
      return reject(error)
    }
    const chunks = []
    let status = null
    const take = (lines) => {
      if (lines['grpc-status'] !== undefined) status = Number(lines['grpc-status'])
      else if (lines[':status'] !== undefined && lines[':status'] !== 200) status = `HTTP ${lines[':status']}`
    }
    const timer = setTimeout(() => stream.destroy(new Error(`nothing came in ${PATIENCE / 1000} s`)), PATIENCE)
    let failure = null
    stream.on('response', take).on('trailers', take)
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('error', (error) => {
      failure = error
    })
    stream.once('close', () => {
      clearTimeout(timer)
      if (status !== null) resolve({ status, messages: split(Buffer.concat(chunks)) })
      else reject(failure ?? new Error(`the call ended without a status (reset with ${stream.rstCode})`))
    })
    if (end) stream.end(bytes)
    else stream.write(bytes)
    leave?.(stream)
  })
}

function split(bytes) {
  const messages = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1)
    messages.push(bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  return messages
}
