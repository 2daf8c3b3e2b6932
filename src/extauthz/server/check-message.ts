import type { Buffer } from 'node:buffer'
import { WireReader, WireType } from '../wire/reader.ts'

/** Where something stands in a message; both 0 when it does not. */
export interface Span {
  from: number
  to: number
}

/** One side of the connection. */
export interface PeerPlaces {
  /** Of a socket address. */
  readonly ip: Span
  port: number
  readonly service: Span
  readonly principal: Span
}

/**
 * Where the parts of an `envoy.service.auth.v3.CheckRequest` stand in its octets, so that only what a decision reads is
 * made a string. All of it has been looked at once: it is well formed, and its texts are UTF-8. As everywhere in
 * protobuf, the last of several values holds, and messages that come twice are merged.
 */
export interface CheckMessage {
  readonly bytes: Buffer
  /** `tcp`: there is no request. */
  kind: 'nothing' | 'tcp' | 'http'
  readonly source: PeerPlaces
  readonly destination: PeerPlaces
  /** Stream start, in seconds and nanoseconds. */
  seconds: number
  nanos: number
  readonly method: Span
  readonly path: Span
  readonly host: Span
  readonly scheme: Span
  readonly protocol: Span
  readonly body: Span
  readonly rawBody: Span
  /** Of each entry four places: of its name and of its value. */
  readonly headers: readonly number[]
  /** Six of each: of its name, its value, and its raw value. */
  readonly headerMap: readonly number[]
  readonly contextExtensions: readonly number[]
  readonly sni: Span
}

/** Null when the message is malformed, or a text in it is not UTF-8. */
export function readCheckMessage(bytes: Buffer): CheckMessage | null {
  const reader = new WireReader(bytes)
  const message = new Places(bytes)
  while (reader.next()) {
    if (reader.field === 1) nested(reader, message, readAttributes)
    else reader.skip()
  }
  return reader.failed ? null : message
}

class Places implements CheckMessage {
  readonly bytes: Buffer
  kind: CheckMessage['kind'] = 'nothing'
  readonly source = peer()
  readonly destination = peer()
  seconds = 0
  nanos = 0
  readonly method = span()
  readonly path = span()
  readonly host = span()
  readonly scheme = span()
  readonly protocol = span()
  readonly body = span()
  readonly rawBody = span()
  readonly headers: number[] = []
  readonly headerMap: number[] = []
  readonly contextExtensions: number[] = []
  readonly sni = span()
  /** Whether `attributes.request` is there, and `http` in it. */
  request = false

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

function span(): Span {
  return { from: 0, to: 0 }
}

function peer(): PeerPlaces {
  return { ip: span(), port: 0, service: span(), principal: span() }
}

/** Reads the message that stands next, into what has been read before of the same. */
function nested<T>(reader: WireReader, into: T, read: (reader: WireReader, into: T) => void): void {
  if (!reader.span()) return
  const { end, from, to } = reader
  reader.at = from
  reader.end = to
  read(reader, into)
  reader.at = to
  reader.end = end
}

function text(reader: WireReader, into: Span): void {
  if (!reader.text()) return
  into.from = reader.from
  into.to = reader.to
}

function octets(reader: WireReader, into: Span): void {
  if (!reader.span()) return
  into.from = reader.from
  into.to = reader.to
}

function readAttributes(reader: WireReader, message: Places): void {
  if (message.kind === 'nothing') message.kind = 'tcp'
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        nested(reader, message.source, readPeer)
        break
      case 2:
        nested(reader, message.destination, readPeer)
        break
      case 4:
        message.request = true
        if (message.kind === 'tcp') message.kind = 'nothing'
        nested(reader, message, readRequest)
        break
      case 10:
        nested(reader, message.contextExtensions, readEntry)
        break
      case 12:
        nested(reader, message, readTlsSession)
        break
      default:
        reader.skip()
    }
  }
}

function readPeer(reader: WireReader, into: PeerPlaces): void {
  while (reader.next()) {
    if (reader.field === 1) nested(reader, into, readAddress)
    else if (reader.field === 2) text(reader, into.service)
    else if (reader.field === 4) text(reader, into.principal)
    else reader.skip()
  }
}

/** Of the kinds of address only that of a socket says something here. */
function readAddress(reader: WireReader, into: PeerPlaces): void {
  while (reader.next()) {
    if (reader.field === 1) nested(reader, into, readSocketAddress)
    else {
      if (reader.field === 2 || reader.field === 3) clear(into)
      reader.skip()
    }
  }
}

/** The last member of a `oneof` holds. */
function clear(into: PeerPlaces): void {
  into.ip.from = 0
  into.ip.to = 0
  into.port = 0
}

function readSocketAddress(reader: WireReader, into: PeerPlaces): void {
  while (reader.next()) {
    if (reader.field === 2) text(reader, into.ip)
    else if (reader.field === 3 && reader.type === WireType.varint) into.port = reader.varint()
    else {
      if (reader.field === 4) into.port = 0
      reader.skip()
    }
  }
}

function readRequest(reader: WireReader, message: Places): void {
  while (reader.next()) {
    if (reader.field === 1) nested(reader, message, readTimestamp)
    else if (reader.field === 2) {
      message.kind = 'http'
      nested(reader, message, readHttp)
    } else reader.skip()
  }
}

function readTimestamp(reader: WireReader, message: Places): void {
  while (reader.next()) {
    const number = reader.type === WireType.varint
    if (reader.field === 1 && number) message.seconds = reader.varint64()
    else if (reader.field === 2 && number) message.nanos = reader.varint()
    else reader.skip()
  }
}

function readHttp(reader: WireReader, message: Places): void {
  while (reader.next()) {
    switch (reader.field) {
      case 2:
        text(reader, message.method)
        break
      case 3:
        nested(reader, message.headers, readEntry)
        break
      case 4:
        text(reader, message.path)
        break
      case 5:
        text(reader, message.host)
        break
      case 6:
        text(reader, message.scheme)
        break
      case 10:
        text(reader, message.protocol)
        break
      case 11:
        text(reader, message.body)
        break
      case 12:
        octets(reader, message.rawBody)
        break
      case 13:
        nested(reader, message.headerMap, readHeaderMap)
        break
      default:
        reader.skip()
    }
  }
}

/** An entry of a map from text to text. */
function readEntry(reader: WireReader, into: number[]): void {
  let [nameFrom, nameTo, valueFrom, valueTo] = [0, 0, 0, 0]
  while (reader.next()) {
    if (reader.field === 1 && reader.text()) {
      nameFrom = reader.from
      nameTo = reader.to
    } else if (reader.field === 2 && reader.text()) {
      valueFrom = reader.from
      valueTo = reader.to
    } else if (reader.field > 2) reader.skip()
  }
  into.push(nameFrom, nameTo, valueFrom, valueTo)
}

function readHeaderMap(reader: WireReader, into: number[]): void {
  while (reader.next()) {
    if (reader.field === 1) nested(reader, into, readHeaderValue)
    else reader.skip()
  }
}

function readHeaderValue(reader: WireReader, into: number[]): void {
  const places = [0, 0, 0, 0, 0, 0]
  while (reader.next()) {
    const { field } = reader
    if (field > 3) reader.skip()
    else if (field === 3 ? reader.span() : reader.text()) {
      places[field * 2 - 2] = reader.from
      places[field * 2 - 1] = reader.to
    }
  }
  into.push(...places)
}

function readTlsSession(reader: WireReader, message: Places): void {
  while (reader.next()) {
    if (reader.field === 1) text(reader, message.sni)
    else reader.skip()
  }
}
