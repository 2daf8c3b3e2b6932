import type { Buffer } from 'node:buffer'
import { fromBinary, toJson } from '@bufbuild/protobuf'
import { AttributeContextSchema } from '../../proto/gen/envoy/service/auth/v3/attribute_context_pb.js'
import { CheckRequestSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { Names } from '../wire/names.ts'
import { textOf } from '../wire/reader.ts'
import { type CheckMessage, PeerPlace, Place, readCheckMessage } from './check-message.ts'
import {
  type Asked,
  type Attributes,
  type AuthorizerBody,
  type AuthorizerConnection,
  type AuthorizerPeer,
  type AuthorizerRequest,
  Body,
  isTruncated,
  joinLines,
  pathEnd,
} from './request.ts'

/** Whoever waits for the answer. */
export interface Waiting {
  /** Made when it is asked for. */
  readonly signal: AbortSignal
}

type Line = readonly [name: string, value: string]

/** `malformed`: the octets are no `CheckRequest`. `nothing`: it is about neither a request nor a connection. */
export type Question = Asked | { readonly kind: 'malformed' } | { readonly kind: 'nothing' }

const MALFORMED: Question = { kind: 'malformed' }
const NOTHING: Question = { kind: 'nothing' }

/** What a `CheckRequest` asks. */
export function readCheckRequest(bytes: Buffer, waiting: Waiting): Question {
  const message = readCheckMessage(bytes)
  if (message === null) return MALFORMED
  switch (message.kind) {
    case 'nothing':
      return NOTHING
    case 'tcp':
      return { kind: 'connection', connection: new MessageConnection(message, waiting) }
    case 'http':
      return { kind: 'request', request: new MessageRequest(message, waiting) }
    default:
      return message.kind satisfies never
  }
}

/** A connection as a message tells of it. */
class MessageConnection implements AuthorizerConnection {
  private readonly message: CheckMessage
  private readonly waiting: Waiting

  constructor(message: CheckMessage, waiting: Waiting) {
    this.message = message
    this.waiting = waiting
  }

  get source(): AuthorizerPeer {
    return peer(this.message, Place.source, this.message.sourcePort)
  }

  get destination(): AuthorizerPeer {
    return peer(this.message, Place.destination, this.message.destinationPort)
  }

  /** Envoy gives it as the service of the destination, for TCP. */
  get sni(): string {
    const { message } = this
    return read(message, Place.sni) || read(message, Place.destination + PeerPlace.service)
  }

  get contextExtensions(): Readonly<Record<string, string | undefined>> {
    return readMap(this.message, this.message.contextExtensions)
  }

  get attributes(): Attributes {
    return attributesOf(this.message.bytes)
  }

  get signal(): AbortSignal {
    return this.waiting.signal
  }
}

/**
 * A request as a message tells of it. Only what is asked for becomes a string, and is then kept. Its state is in plain
 * properties, so that objects that inherit from a request are requests too.
 */
class MessageRequest implements AuthorizerRequest {
  private readonly message: CheckMessage
  private readonly waiting: Waiting
  private readPath: string | undefined
  private readHeaders: Readonly<Record<string, string | undefined>> | undefined
  private readLines: readonly Line[] | undefined
  private readQuery: URLSearchParams | undefined
  private readBody: AuthorizerBody | undefined
  private readAttributes: Attributes | undefined

  constructor(message: CheckMessage, waiting: Waiting) {
    this.message = message
    this.waiting = waiting
  }

  get method(): string {
    return read(this.message, Place.method)
  }

  get path(): string {
    this.readPath ??= read(this.message, Place.path)
    return this.readPath
  }

  get pathname(): string {
    const { path } = this
    return path.slice(0, pathEnd(path))
  }

  get query(): URLSearchParams {
    this.readQuery ??= parseQuery(this.path)
    return this.readQuery
  }

  get host(): string {
    return read(this.message, Place.host)
  }

  get scheme(): string {
    return read(this.message, Place.scheme)
  }

  get protocol(): string {
    return read(this.message, Place.protocol)
  }

  get headers(): Readonly<Record<string, string | undefined>> {
    this.readHeaders ??= readHeaders(this.message) ?? joinLines(this.headerLines)
    return this.readHeaders
  }

  get headerLines(): readonly Line[] {
    this.readLines ??= readLines(this.message)
    return this.readLines
  }

  get body(): AuthorizerBody {
    if (this.readBody === undefined) {
      const { bytes, places } = this.message
      const isRaw = (places[Place.rawBody + 1] as number) > (places[Place.rawBody] as number)
      const place = isRaw ? Place.rawBody : Place.body
      this.readBody = new Body(bytes.subarray(places[place], places[place + 1]))
    }
    return this.readBody
  }

  get truncated(): boolean {
    return isTruncated(this.headers, this.body.bytes.length)
  }

  get source(): AuthorizerPeer {
    return peer(this.message, Place.source, this.message.sourcePort)
  }

  get destination(): AuthorizerPeer {
    return peer(this.message, Place.destination, this.message.destinationPort)
  }

  get contextExtensions(): Readonly<Record<string, string | undefined>> {
    return readMap(this.message, this.message.contextExtensions)
  }

  get time(): number {
    const { seconds, nanos } = this.message
    return seconds * 1000 + Math.floor(nanos / 1e6)
  }

  get attributes(): Attributes {
    this.readAttributes ??= attributesOf(this.message.bytes)
    return this.readAttributes
  }

  get signal(): AbortSignal {
    return this.waiting.signal
  }
}

function read({ bytes, places }: CheckMessage, place: number): string {
  return textOf(bytes, places[place] as number, places[place + 1] as number)
}

function peer(message: CheckMessage, place: number, port: number): AuthorizerPeer {
  return { ip: read(message, place + PeerPlace.ip), port, principal: read(message, place + PeerPlace.principal) }
}

function readMap({ bytes }: CheckMessage, places: readonly number[]): Record<string, string | undefined> {
  const record: Record<string, string | undefined> = Object.create(null)
  for (let i = 0; i < places.length; i += 4) record[textAt(bytes, places, i)] = textAt(bytes, places, i + 2)
  return record
}

function textAt(bytes: Buffer, places: readonly number[], i: number): string {
  return textOf(bytes, places[i] as number, places[i + 1] as number)
}

/** Without anything inherited: `headers.constructor` must not be a function. Quicker to fill than `Object.create(null)`. */
class HeaderRecord {
  [name: string]: string | undefined
}
Reflect.deleteProperty(HeaderRecord.prototype, 'constructor')
Object.setPrototypeOf(HeaderRecord.prototype, null)

/** Of headers: most requests have the same. */
const names = new Names()

/** Null where the quick way could differ: lines come one by one, or a name comes twice. */
function readHeaders({ bytes, headers, headerMap }: CheckMessage): Record<string, string | undefined> | null {
  if (headerMap.length > 0) return null
  const record = new HeaderRecord()
  for (let i = 0; i < headers.length; i += 4) {
    const first = bytes[headers[i] as number]
    if (first === COLON) continue
    const name = names.read(bytes, headers[i] as number, headers[i + 1] as number).toLowerCase()
    if (name === 'host') continue
    if (record[name] !== undefined) return null
    record[name] = textAt(bytes, headers, i + 2)
  }
  return record
}

const COLON = 0x3a

/** From `header_map` when the proxy sends it, because that keeps the lines apart. */
function readLines(message: CheckMessage): Line[] {
  const { bytes, headers, headerMap } = message
  const lines: Line[] = []
  if (headerMap.length > 0) {
    for (let i = 0; i < headerMap.length; i += 6) {
      const hasText = (headerMap[i + 3] as number) > (headerMap[i + 2] as number)
      const [from, to] = [headerMap[i + (hasText ? 2 : 4)] as number, headerMap[i + (hasText ? 3 : 5)] as number]
      lines.push([textAt(bytes, headerMap, i), bytes.toString('utf8', from, to)])
    }
  } else {
    const map = new Map<string, string>()
    for (let i = 0; i < headers.length; i += 4) map.set(textAt(bytes, headers, i), textAt(bytes, headers, i + 2))
    lines.push(...map)
  }
  return lines
    .map(([name, value]): Line => [name.toLowerCase(), value])
    .filter(([name]) => name !== 'host' && !name.startsWith(':'))
}

function parseQuery(path: string): URLSearchParams {
  const start = path.indexOf('?')
  return new URLSearchParams(start === -1 ? '' : path.slice(start + 1).split('#', 1)[0])
}

/** Without metadata of types that are not known here: they cannot be written as JSON. */
function attributesOf(bytes: Buffer): Attributes {
  const { attributes } = fromBinary(CheckRequestSchema, bytes, { readUnknownFields: false })
  if (attributes === undefined) return {}
  for (const metadata of [attributes.metadataContext, attributes.routeMetadataContext]) {
    if (metadata !== undefined) metadata.typedFilterMetadata = {}
  }
  return toJson(AttributeContextSchema, attributes) as Attributes
}
