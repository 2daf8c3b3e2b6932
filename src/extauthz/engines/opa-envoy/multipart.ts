import { Buffer } from 'node:buffer'
import { isHeaderName, isHeaderValue } from '../../header-syntax.ts'
import { parseMediaType } from './media-type.ts'

/** One field of a form. */
export interface FormPart {
  readonly name: string
  /** As it was written, or empty. */
  readonly contentType: string
  readonly content: Buffer
}

const MAX_PARTS = 10_000

/** The named parts of a `multipart/form-data` body; null when it is malformed. */
export function parseMultipart(body: Uint8Array, boundary: string): readonly FormPart[] | null {
  if (boundary === '') return null
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const dashes = Buffer.from(`--${boundary}`, 'latin1')
  const first = findFirst(bytes, dashes)
  if (first === null) return null
  const { lineEnd } = first
  let { at } = first
  const parts: FormPart[] = []
  for (let count = 0; at !== null; count++) {
    if (count >= MAX_PARTS) return null
    const headers = readHeaders(bytes, at)
    if (headers === null) return null
    const end = findEnd(bytes, headers.end, Buffer.concat([Buffer.from(lineEnd), dashes]), lineEnd.length)
    if (end === null) return null
    const part = toPart(headers.fields, bytes.subarray(headers.end, Math.max(end.content, headers.end)))
    if (part === null) return null
    if (part.name !== '') parts.push(part)
    const next = afterBoundary(bytes, end.boundary + dashes.length, lineEnd)
    if (next === null) return null
    at = next.at
  }
  return parts
}

/** Where the first part's headers begin, or `at: null` for a body without parts. Its line says how all lines end. */
function findFirst(bytes: Buffer, dashes: Buffer) {
  for (let start = 0; ; ) {
    const end = bytes.indexOf(0x0a, start)
    const line = bytes.subarray(start, end === -1 ? bytes.length : end + 1)
    if (line.subarray(0, dashes.length).equals(dashes)) {
      const rest = line.toString('latin1', dashes.length)
      if (/^[ \t]*\r\n$/.test(rest)) return { at: (end + 1) as number | null, lineEnd: '\r\n' }
      if (/^[ \t]*\n$/.test(rest)) return { at: (end + 1) as number | null, lineEnd: '\n' }
      if (/^--[ \t]*(?:\r\n)?$/.test(rest)) return { at: null, lineEnd: '\r\n' }
    }
    if (end === -1) return null
    start = end + 1
  }
}

/** `content` is where the part ends, `boundary` where the next dashes begin. */
function findEnd(bytes: Buffer, from: number, delimiter: Buffer, lineLength: number) {
  // A part without content may have no line of its own before the boundary.
  const dashes = delimiter.subarray(lineLength)
  const length = dashes.length
  if (bytes.subarray(from, from + length).equals(dashes) && endsBoundary(bytes, from + length)) {
    return { content: from, boundary: from }
  }
  for (let at = from; ; at++) {
    at = bytes.indexOf(delimiter, at)
    if (at === -1) return null
    if (endsBoundary(bytes, at + delimiter.length)) return { content: at, boundary: at + lineLength }
  }
}

function endsBoundary(bytes: Buffer, at: number): boolean {
  if (at >= bytes.length) return true
  const code = bytes[at] as number
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a || (code === 0x2d && bytes[at + 1] === 0x2d)
}

/** What follows a boundary: another part, or (`at: null`) the end. */
function afterBoundary(bytes: Buffer, from: number, lineEnd: string): { readonly at: number | null } | null {
  const newline = bytes.indexOf(0x0a, from)
  const rest = bytes.toString('latin1', from, newline === -1 ? bytes.length : newline + 1)
  const last = rest.startsWith('--')
  const ending = rest.slice(last ? 2 : 0).replace(/^[ \t]+/, '')
  if (last) return ending === '' || ending === lineEnd ? { at: null } : null
  return ending === lineEnd ? { at: newline + 1 } : null
}

type Fields = ReadonlyMap<string, string>

/** `end` is where the content begins. */
function readHeaders(bytes: Buffer, from: number): { readonly fields: Fields; readonly end: number } | null {
  const fields = new Map<string, string>()
  let name: string | null = null
  for (let at = from; ; ) {
    const newline = bytes.indexOf(0x0a, at)
    if (newline === -1) return null
    const line = bytes.toString('latin1', at, newline).replace(/\r$/, '')
    at = newline + 1
    if (line === '') return { fields, end: at }
    if (/^[ \t]/.test(line)) {
      if (name === null) return null
      fields.set(name, `${fields.get(name)} ${line.trim()}`)
      continue
    }
    const colon = line.indexOf(':')
    const value = line.slice(colon + 1).trim()
    name = line.slice(0, colon).toLowerCase()
    if (colon === -1 || !isHeaderName(name) || !isHeaderValue(value)) return null
    // Of a header that is there twice the first counts.
    if (fields.has(name)) name = `${name} ${fields.size}`
    fields.set(name, value)
  }
}

function toPart(fields: Fields, content: Buffer): FormPart | null {
  const disposition = parseMediaType(utf8(fields.get('content-disposition') ?? ''))
  const name = disposition?.type === 'form-data' ? (disposition.parameters.get('name') ?? '') : ''
  const quoted = fields.get('content-transfer-encoding')?.toLowerCase() === 'quoted-printable'
  // Who hides a field in an encoding that nothing else decodes wants it to be seen differently.
  if (quoted && name !== '') return null
  return { name, contentType: fields.get('content-type') ?? '', content }
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
