import { Buffer } from 'node:buffer'
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf'
import { StructSchema } from '@bufbuild/protobuf/wkt'
import { foldHeaderName } from '../match/header-name.ts'
import type { Claims } from '../policy/facts.ts'
import type { CheckBody, CheckHttpRequest, CheckPeer, CheckRequest } from './check.ts'
import { setPrefix } from './grpc-framing.ts'
import { repairUtf8 } from './header-syntax.ts'
import { WireWriter } from './wire/writer.ts'

/** Where Envoy's filter for tokens leaves the claims, and where authorizers behind Envoy read them. */
const JWT_FILTER = 'envoy.filters.http.jwt_authn'

/** Says whether the body that goes along is cut short. A client's own header of this name is never passed on. */
export const partialBodyHeader = 'x-envoy-auth-partial-body'

/** Tells an HTTP provider of a Delegation of claims, as base64url of JSON. A client's own is never passed on to any. */
export const claimsHeader = 'x-sallyport-claims'

const saidHere: ReadonlySet<string> = new Set([partialBodyHeader, claimsHeader])

export interface CheckRequestOptions {
  /** A body goes as `raw_body`, else as text in `body`, with `!` for bytes that are no UTF-8. */
  readonly packAsBytes: boolean
}

/** The bytes of an `envoy.service.auth.v3.CheckRequest`. */
export function encodeCheckRequest(request: CheckRequest, options: CheckRequestOptions): Buffer {
  return frameCheckRequest(request, options).subarray(PREFIX)
}

/** As `encodeCheckRequest`, behind the prefix of gRPC's framing. */
export function frameCheckRequest(request: CheckRequest, options: CheckRequestOptions): Buffer {
  const writer = new WireWriter(PREFIX)
  const attributes = writer.begin(1)
  peer(writer, 1, request.source)
  peer(writer, 2, request.destination)
  if (request.http !== null) {
    const whole = writer.begin(4)
    if (request.time !== 0) timestamp(writer, 1, request.time)
    http(writer, 2, request.http, options)
    writer.end(whole)
  }
  // Envoy sends both, even when they hold nothing.
  metadata(writer, 11, request.claims ?? null)
  if (request.http !== null) writer.end(writer.begin(13))
  writer.end(attributes)
  return setPrefix(writer.finish())
}

const PREFIX = 5

/** Envoy's `metadata_context`. A `Struct` is written by the generic library: claims are shown to few. */
function metadata(writer: WireWriter, field: number, claims: Claims | null): void {
  const start = writer.begin(field)
  if (claims !== null) {
    const struct = toBinary(StructSchema, fromJson(StructSchema, { payload: claims as JsonObject }))
    const entry = writer.begin(1)
    writer.text(1, JWT_FILTER)
    writer.octets(2, struct)
    writer.end(entry)
  }
  writer.end(start)
}

/**
 * The source's `service` stays unset: Envoy fills it from `x-envoy-downstream-service-cluster`, which any client can send,
 * and an authorizer could take it for an identity. A client that is not told has no address, rather than an empty one.
 */
function peer(writer: WireWriter, field: number, { ip, port, principal, service = '' }: CheckPeer): void {
  const start = writer.begin(field)
  if (ip !== '') {
    const address = writer.begin(1)
    const socket = writer.begin(1)
    writer.text(2, ip)
    writer.number(3, port)
    writer.end(socket)
    writer.end(address)
  }
  text(writer, 2, service)
  text(writer, 4, principal)
  writer.end(start)
}

/** `time` in milliseconds since the epoch. */
function timestamp(writer: WireWriter, field: number, time: number): void {
  const start = writer.begin(field)
  const seconds = Math.floor(time / 1000)
  if (seconds !== 0) writer.number(1, seconds)
  const nanos = Math.round((time - seconds * 1000) * 1e6)
  if (nanos !== 0) writer.number(2, nanos)
  writer.end(start)
}

function http(writer: WireWriter, field: number, asked: CheckHttpRequest, { packAsBytes }: CheckRequestOptions): void {
  const { id, method, path, host, scheme, protocol, body } = asked
  const start = writer.begin(field)
  text(writer, 1, id)
  octets(writer, 2, method)
  headers(writer, 3, asked)
  octets(writer, 4, path)
  octets(writer, 5, host)
  text(writer, 6, scheme)
  text(writer, 10, protocol)
  if (body !== null) {
    const { bytes, received = bytes.length } = body
    if (received !== 0) writer.number(9, received)
    if (bytes.length !== 0 && packAsBytes) writer.octets(12, bytes)
    else if (bytes.length !== 0) writer.text(11, bodyText(body))
  }
  writer.end(start)
}

function text(writer: WireWriter, field: number, value: string): void {
  if (value !== '') writer.text(field, value)
}

/** Octets as Latin-1, which are to be a text. */
function octets(writer: WireWriter, field: number, value: string): void {
  if (value !== '') writer.text(field, repairUtf8(value))
}

function bodyText(body: CheckBody): string {
  const { buffer, byteOffset, length } = body.bytes
  return repairUtf8(Buffer.from(buffer, byteOffset, length).toString('latin1'))
}

function headers(writer: WireWriter, field: number, asked: CheckHttpRequest): void {
  for (const [name, value] of mergeHeaders(asked)) entry(writer, field, name, value)
  entry(writer, field, ':authority', repairUtf8(asked.host))
  entry(writer, field, ':method', repairUtf8(asked.method))
  entry(writer, field, ':path', repairUtf8(asked.path))
  entry(writer, field, ':scheme', asked.scheme)
}

function entry(writer: WireWriter, field: number, name: string, value: string): void {
  const start = writer.begin(field)
  writer.text(1, name)
  if (value !== '') writer.text(2, value)
  writer.end(start)
}

/**
 * One entry a name, repeats joined with a comma (cookies too), as valid UTF-8; without `host` and what only this proxy
 * says, and with what says whether the body is whole. A client does not say what this proxy says, under any name that a
 * provider may read as the same.
 */
export function mergeHeaders({ headers, body }: CheckHttpRequest): Map<string, string> {
  const merged = new Map<string, string>()
  for (let i = 0; i < headers.size; i++) {
    const name = repairUtf8(headers.nameAt(i))
    if (name === 'host' || name.startsWith(':') || saidHere.has(foldHeaderName(name))) continue
    const value = repairUtf8(headers.valueAt(i))
    const before = merged.get(name)
    merged.set(name, before === undefined ? value : `${before},${value}`)
  }
  if (body !== null) merged.set(partialBodyHeader, String(body.partial))
  return merged
}
