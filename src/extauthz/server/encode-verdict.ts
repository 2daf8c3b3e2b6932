import { Buffer } from 'node:buffer'
import { WireWriter } from '../wire/writer.ts'
import type { Line, Verdict } from './answer.ts'

type Allowed = Extract<Verdict, { kind: 'allow' }>
type Denied = Extract<Verdict, { kind: 'deny' }>

/** `status { code: 0 }` and an empty `ok_response`: most answers. */
const ALLOWED = Buffer.from([0x0a, 0, 0x1a, 0])

/** The octets of an `envoy.service.auth.v3.CheckResponse`. Not to be changed. */
export function encodeVerdict(verdict: Verdict): Buffer {
  switch (verdict.kind) {
    case 'allow':
      return changesNothing(verdict) ? ALLOWED : allowed(verdict)
    case 'deny':
      return denied(verdict)
    default:
      return verdict satisfies never
  }
}

function changesNothing({ set, remove, responseSet, responseAdd }: Allowed): boolean {
  return set.length === 0 && remove.length === 0 && responseSet.length === 0 && responseAdd.length === 0
}

function allowed({ set, remove, responseSet, responseAdd }: Allowed): Buffer {
  const writer = new WireWriter()
  writer.message(1, () => {})
  writer.message(3, () => {
    for (const line of set) option(writer, 2, line, false)
    for (const name of remove) writer.text(5, name)
    for (const line of responseSet) option(writer, 6, line, false)
    for (const line of responseAdd) option(writer, 6, line, true)
  })
  return writer.finish()
}

function denied({ status, headers, body }: Denied): Buffer {
  const writer = new WireWriter()
  writer.message(1, () => writer.number(1, rpcCode(status)))
  writer.message(2, () => {
    writer.message(1, () => writer.number(1, status))
    for (const line of headers) option(writer, 2, line, false)
    if (body !== '') writer.text(3, body)
  })
  return writer.finish()
}

/** `append` is always said: what happens without it differs between versions of Envoy. So is `keep_empty_value`. */
function option(writer: WireWriter, field: number, [name, value]: Line, append: boolean): void {
  writer.message(field, () => {
    writer.message(1, () => {
      writer.text(1, name)
      if (value !== '') writer.text(2, value)
    })
    writer.message(2, () => {
      if (append) writer.number(1, 1)
    })
    writer.number(4, 1)
  })
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
