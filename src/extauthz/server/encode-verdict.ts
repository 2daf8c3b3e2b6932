import { Buffer } from 'node:buffer'
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf'
import { StructSchema } from '@bufbuild/protobuf/wkt'
import { WireWriter } from '../wire/writer.ts'
import { type AllowVerdict, type DenyVerdict, type Line, plainAllow } from './verdict.ts'

/** `status { code: 0 }` and an empty `ok_response`: most answers. */
const ALLOWED = Buffer.from([0x0a, 0, 0x1a, 0])

/** The octets of an `envoy.service.auth.v3.CheckResponse`. Not to be changed. */
export function encodeVerdict(verdict: AllowVerdict | DenyVerdict): Buffer {
  switch (verdict.kind) {
    case 'allow':
      return verdict === plainAllow ? ALLOWED : allowed(verdict)
    case 'deny':
      return denied(verdict)
    default:
      return verdict satisfies never
  }
}

function allowed(verdict: AllowVerdict): Buffer {
  const writer = new WireWriter()
  writer.message(1, () => {})
  writer.message(3, () => {
    for (const line of verdict.set) option(writer, 2, line, false)
    for (const line of verdict.append) option(writer, 2, line, true)
    for (const name of verdict.remove) writer.text(5, name)
    for (const line of verdict.responseSet) option(writer, 6, line, false)
    for (const line of verdict.responseAdd) option(writer, 6, line, true)
    for (const line of verdict.setQuery) writer.message(7, () => pair(writer, line))
    for (const name of verdict.removeQuery) writer.text(8, name)
  })
  metadata(writer, verdict)
  return writer.finish()
}

/** A `google.protobuf.Struct`, which the generic library writes: it is rare. */
function metadata(writer: WireWriter, { metadata: struct }: AllowVerdict | DenyVerdict): void {
  if (struct !== null) writer.octets(4, toBinary(StructSchema, fromJson(StructSchema, struct as JsonObject)))
}

function denied(verdict: DenyVerdict): Buffer {
  const { status, headers, body } = verdict
  const writer = new WireWriter()
  writer.message(1, () => writer.number(1, rpcCode(status)))
  writer.message(2, () => {
    writer.message(1, () => writer.number(1, status))
    for (const line of headers) option(writer, 2, line, false)
    if (body !== '') writer.text(3, body)
  })
  metadata(writer, verdict)
  return writer.finish()
}

/** `append` is always said: what happens without it differs between versions of Envoy. So is `keep_empty_value`. */
function option(writer: WireWriter, field: number, line: Line, append: boolean): void {
  writer.message(field, () => {
    writer.message(1, () => pair(writer, line))
    writer.message(2, () => {
      if (append) writer.number(1, 1)
    })
    writer.number(4, 1)
  })
}

/** A `HeaderValue` or a `QueryParameter`. */
function pair(writer: WireWriter, [name, value]: Line): void {
  writer.text(1, name)
  if (value !== '') writer.text(2, value)
}

/** The `google.rpc.Code` of a denial; anything but 0 denies. */
function rpcCode(status: number): number {
  switch (status) {
    case 400:
      return 3
    case 401:
      return 16
    case 404:
      return 5
    case 429:
      return 8
    case 500:
      return 13
    case 503:
      return 14
    default:
      return 7
  }
}
