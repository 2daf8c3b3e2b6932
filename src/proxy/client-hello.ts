/** What a TLS client says in its first message (RFC 8446, 4.1.2). */
export interface ClientHello {
  /** Lower-case; empty without. */
  readonly serverName: string
  readonly alpn: readonly string[]
}

export type Sniffed =
  /** To be asked again when there are so many bytes. */
  | { readonly kind: 'more'; readonly wanted: number }
  | { readonly kind: 'plaintext' }
  /** Starts as TLS does, but no ClientHello follows. */
  | { readonly kind: 'malformed' }
  | { readonly kind: 'tls'; readonly hello: ClientHello }

/** A ClientHello may span records; no client sends more than this. */
const MOST_BYTES = 64 * 1024
/** Each may need another look. */
const MOST_RECORDS = 256

const PLAINTEXT: Sniffed = { kind: 'plaintext' }
const MALFORMED: Sniffed = { kind: 'malformed' }

/** Looks at the first bytes of a connection, as Envoy's TLS inspector does. */
export function sniff(bytes: Buffer): Sniffed {
  if (bytes.length === 0) return { kind: 'more', wanted: 1 }
  if (bytes[0] !== 0x16) return PLAINTEXT
  const fragments: Buffer[] = []
  let size = 0
  let at = 0
  let wanted = 4
  while (size < wanted) {
    if (at > MOST_BYTES || fragments.length === MOST_RECORDS) return MALFORMED
    if (bytes.length < at + 5) return { kind: 'more', wanted: at + 5 }
    if (bytes[at] !== 0x16 || bytes[at + 1] !== 3) return MALFORMED
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > 0x4000) return MALFORMED
    const fragment = bytes.subarray(at + 5, at + 5 + length)
    fragments.push(fragment)
    size += fragment.length
    if (wanted === 4 && size >= 4) {
      const head = Buffer.concat(fragments)
      if (head[0] !== 1) return MALFORMED
      wanted = 4 + head.readUIntBE(1, 3)
      if (wanted > MOST_BYTES) return MALFORMED
    }
    if (size < wanted && fragment.length < length) return { kind: 'more', wanted: at + 5 + length }
    at += 5 + length
  }
  const hello = readHello(Buffer.concat(fragments).subarray(4, wanted))
  return hello === null ? MALFORMED : { kind: 'tls', hello }
}

function readHello(body: Buffer): ClientHello | null {
  const reader = new Reader(body)
  reader.skip(2 + 32)
  reader.block(1)
  reader.block(2)
  reader.block(1)
  let serverName = ''
  let alpn: string[] = []
  // Extensions are optional before TLS 1.3.
  const extensions = new Reader(reader.left === 0 ? EMPTY : reader.block(2))
  while (extensions.left > 0 && !extensions.failed) {
    const type = extensions.number(2)
    const content = new Reader(extensions.block(2))
    if (type === 0) serverName = readServerName(content)
    else if (type === 16) alpn = readAlpn(content)
    if (content.failed) return null
  }
  return reader.failed || extensions.failed ? null : { serverName, alpn }
}

function readServerName(content: Reader): string {
  const names = new Reader(content.block(2))
  while (names.left > 0 && !names.failed) {
    const type = names.number(1)
    const name = names.block(2)
    if (type === 0) return name.toString('latin1').toLowerCase()
  }
  return ''
}

function readAlpn(content: Reader): string[] {
  const list = new Reader(content.block(2))
  const protocols: string[] = []
  while (list.left > 0 && !list.failed) protocols.push(list.block(1).toString('latin1'))
  return protocols
}

const EMPTY = Buffer.alloc(0)

/** Reads lengths and blocks; reading past the end marks it as failed instead of throwing. */
class Reader {
  readonly #bytes: Buffer
  #at = 0
  failed = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  skip(count: number): void {
    if (count > this.left) this.failed = true
    else this.#at += count
  }

  number(size: number): number {
    if (size > this.left) {
      this.failed = true
      return 0
    }
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  /** Bytes that follow their own length, which takes `size` bytes. */
  block(size: number): Buffer {
    const length = this.number(size)
    if (this.failed || length > this.left) {
      this.failed = true
      return EMPTY
    }
    const block = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return block
  }
}
