import type { Buffer } from 'node:buffer'

export type Archive =
  /** Regular files by their path, without a leading `/` or `./`. */
  | { readonly kind: 'read'; readonly files: ReadonlyMap<string, Buffer> }
  | { readonly kind: 'failed'; readonly message: string }

const BLOCK = 512
const MAX_FILES = 10_000

/**
 * Reads the regular files of a tar archive (POSIX.1-1988 and pax, and GNU's long names). Nothing is written anywhere, so
 * that a path which leads elsewhere is only a name; what is no file or folder is skipped.
 */
export function readTar(bytes: Buffer): Archive {
  const files = new Map<string, Buffer>()
  /** A name too long for the header comes in an entry of its own before it. */
  let longName: string | null = null
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK)
    if (header.every((byte) => byte === 0)) return { kind: 'read', files }
    if (!hasChecksum(header)) return failed('the archive is no tar')
    const size = octal(header, 124, 12)
    if (size === null) return failed('the archive has an entry without a size')
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size)
    if (content.length < size) return failed('the archive ends early')
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
    const type = String.fromCharCode(header[156] as number)
    if (type === 'L') longName = text(content, 0, content.length)
    else if (type === 'x') longName = paxPath(content) ?? longName
    else {
      if (type === '0' || type === '\0') {
        if (files.size >= MAX_FILES) return failed(`the archive has more than ${MAX_FILES} files`)
        files.set(normal(longName ?? shortName(header)), content)
      }
      if (type !== 'g') longName = null
    }
  }
  return failed('the archive ends early')
}

function failed(message: string): Archive {
  return { kind: 'failed', message }
}

function shortName(header: Buffer): string {
  const name = text(header, 0, 100)
  const prefix = text(header, 257, 5) === 'ustar' ? text(header, 345, 155) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function normal(name: string): string {
  return name.replace(/^(?:\.?\/)+/, '')
}

/** The text of a field up to its first NUL. */
function text(bytes: Buffer, start: number, length: number): string {
  const field = bytes.subarray(start, start + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? field.length : end)
}

function octal(header: Buffer, start: number, length: number): number | null {
  const digits = text(header, start, length).trim()
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null
}

/** The sum of the header's bytes, its own field counted as spaces. */
function hasChecksum(header: Buffer): boolean {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i] as number
  return octal(header, 148, 8) === sum
}

/** `LENGTH path=VALUE` among the records of a pax header. */
function paxPath(content: Buffer): string | null {
  let path: string | null = null
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const length = space === -1 ? 0 : Number(content.toString('latin1', at, space))
    if (!Number.isInteger(length) || length <= 0) break
    const [key, ...value] = content.toString('utf8', space + 1, at + length - 1).split('=')
    if (key === 'path') path = value.join('=')
    at += length
  }
  return path
}
