import type { Buffer } from 'node:buffer'
import { WireReader, WireType } from '../wire/reader.ts'

/**
 * The texts of a message that stand in one place each: two numbers, where one begins and where it ends. Both are 0 when
 * it is not there.
 */
export const Place = {
  method: 0,
  path: 2,
  host: 4,
  scheme: 6,
  protocol: 8,
  body: 10,
  rawBody: 12,
  sni: 14,
  source: 16,
  destination: 22,
} as const

/** Within the places of a peer. */
export const PeerPlace = { ip: 0, service: 2, principal: 4 } as const

/**
 * Where the parts of an `envoy.service.auth.v3.CheckRequest` stand in its octets, so that only what a decision reads is
 * made a string. All of it has been looked at once: it is well formed, and its texts are UTF-8. As everywhere in
 * protobuf, the last of several values holds, and messages that come twice are merged.
 */
export interface CheckMessage {
  readonly bytes: Buffer
  /** `tcp`: there is no request. */
  readonly kind: 'nothing' | 'tcp' | 'http'
  /** After `Place`. */
  readonly places: readonly number[]
  readonly sourcePort: number
  readonly destinationPort: number
  /** Stream start, in seconds and nanoseconds. */
  readonly seconds: number
  readonly nanos: number
  /** Of each entry four places: of its name and of its value. */
  readonly headers: readonly number[]
  /** Six of each: of its name, its value, and its raw value. */
  readonly headerMap: readonly number[]
  readonly contextExtensions: readonly number[]
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
  // All of them at once: arrays that grow cost more.
  readonly places = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  sourcePort = 0
  destinationPort = 0
  seconds = 0
  nanos = 0
  readonly headers: number[] = []
  headerMap: number[] = NONE
  contextExtensions: number[] = NONE
  /** Whether `attributes` is there, `attributes.request`, and `http` in it. */
  attributes = false
  request = false
  http = false

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get kind(): CheckMessage['kind'] {
    if (this.http) return 'http'
    return this.attributes && !this.request ? 'tcp' : 'nothing'
  }
}

const NONE: number[] = []

/** Reads the next message into what was read of the same before. `read` is never a closure, which would be allocated. */
function nested<T>(reader: WireReader, into: T, read: (reader: WireReader, into: T) => void): void {
  if (!reader.span()) return
  const { end, from, to } = reader
  reader.at = from
  reader.end = to
  read(reader, into)
  reader.at = to
  reader.end = end
}

function text(reader: WireReader, { places }: Places, place: number): void {
  if (!reader.text()) return
  places[place] = reader.from
  places[place + 1] = reader.to
}

function octets(reader: WireReader, { places }: Places, place: number): void {
  if (!reader.span()) return
  places[place] = reader.from
  places[place + 1] = reader.to
}

function readAttributes(reader: WireReader, message: Places): void {
  message.attributes = true
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        nested(reader, message, readSource)
        break
      case 2:
        nested(reader, message, readDestination)
        break
      case 4:
        message.request = true
        nested(reader, message, readRequest)
        break
      case 10:
        if (message.contextExtensions === NONE) message.contextExtensions = []
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

function readSource(reader: WireReader, message: Places): void {
  readPeer(reader, message, Place.source)
}

function readDestination(reader: WireReader, message: Places): void {
  readPeer(reader, message, Place.destination)
}

function readPeer(reader: WireReader, message: Places, peer: number): void {
  const readAddress = peer === Place.source ? readSourceAddress : readDestinationAddress
  while (reader.next()) {
    if (reader.field === 1) nested(reader, message, readAddress)
    else if (reader.field === 2) text(reader, message, peer + PeerPlace.service)
    else if (reader.field === 4) text(reader, message, peer + PeerPlace.principal)
    else reader.skip()
  }
}

function readSourceAddress(reader: WireReader, message: Places): void {
  readAddress(reader, message, Place.source)
}

function readDestinationAddress(reader: WireReader, message: Places): void {
  readAddress(reader, message, Place.destination)
}

/** Of the kinds of address only that of a socket says something here. The last member of a `oneof` holds. */
function readAddress(reader: WireReader, message: Places, peer: number): void {
  const readSocket = peer === Place.source ? readSourceSocket : readDestinationSocket
  while (reader.next()) {
    if (reader.field === 1) nested(reader, message, readSocket)
    else {
      if (reader.field === 2 || reader.field === 3) {
        message.places[peer] = message.places[peer + 1] = 0
        setPort(message, peer, 0)
      }
      reader.skip()
    }
  }
}

function readSourceSocket(reader: WireReader, message: Places): void {
  readSocketAddress(reader, message, Place.source)
}

function readDestinationSocket(reader: WireReader, message: Places): void {
  readSocketAddress(reader, message, Place.destination)
}

function readSocketAddress(reader: WireReader, message: Places, peer: number): void {
  while (reader.next()) {
    if (reader.field === 2) text(reader, message, peer + PeerPlace.ip)
    else if (reader.field === 3 && reader.type === WireType.varint) setPort(message, peer, reader.varint())
    else {
      if (reader.field === 4) setPort(message, peer, 0)
      reader.skip()
    }
  }
}

function setPort(message: Places, peer: number, port: number): void {
  if (peer === Place.source) message.sourcePort = port
  else message.destinationPort = port
}

function readRequest(reader: WireReader, message: Places): void {
  while (reader.next()) {
    if (reader.field === 1) nested(reader, message, readTimestamp)
    else if (reader.field === 2) {
      message.http = true
      nested(reader, message, readHttp)
    } else reader.skip()
  }
}

function readTimestamp(reader: WireReader, message: Places): void {
  while (reader.next()) {
    const number = reader.type === WireType.varint
    if (reader.field === 1 && number) message.seconds = reader.varint64()
    else if (reader.field === 2 && number) message.nanos = reader.varint() | 0
    else reader.skip()
  }
}

function readHttp(reader: WireReader, message: Places): void {
  while (reader.next()) {
    switch (reader.field) {
      case 2:
        text(reader, message, Place.method)
        break
      case 3:
        nested(reader, message.headers, readEntry)
        break
      case 4:
        text(reader, message, Place.path)
        break
      case 5:
        text(reader, message, Place.host)
        break
      case 6:
        text(reader, message, Place.scheme)
        break
      case 10:
        text(reader, message, Place.protocol)
        break
      case 11:
        text(reader, message, Place.body)
        break
      case 12:
        octets(reader, message, Place.rawBody)
        break
      case 13:
        if (message.headerMap === NONE) message.headerMap = []
        nested(reader, message.headerMap, readHeaderMap)
        break
      default:
        reader.skip()
    }
  }
}

/** An entry of a map from text to text. */
function readEntry(reader: WireReader, into: number[]): void {
  let nameFrom = 0
  let nameTo = 0
  let valueFrom = 0
  let valueTo = 0
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
    if (reader.field === 1) text(reader, message, Place.sni)
    else reader.skip()
  }
}
