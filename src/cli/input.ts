import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import type { Io } from './io.ts'

/** Input that cannot be read: exit code 3. */
export class InvalidInput extends Error {}

/** Bytes of one text that is read whole. */
const MOST_BYTES = 256 * 1024 * 1024

/** A file's text, or that of standard input for `-`. Throws InvalidInput. */
export async function readInput(path: string, io: Io): Promise<string> {
  try {
    return await readText(path === '-' ? io.stdin() : createReadStream(resolve(io.cwd, path)))
  } catch (error) {
    throw new InvalidInput(`${path}: ${readFailure(error)}`)
  }
}

/** Text in UTF-8, without a byte order mark. Throws what the stream throws, and where the text is none or too long. */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES >> 20} MiB`)
    parts.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}

/** One line of input; `text` is null where it is too long or no UTF-8. */
export interface InputLine {
  /** From 1. */
  readonly number: number
  readonly text: string | null
}

/** Bytes of one line; a longer one is passed over. */
const LONGEST_LINE = 64 * 1024 * 1024

/** Lines as they come, whatever the size of the whole; the last may lack its line feed. Throws InvalidInput. */
export async function* readLines(path: string, io: Io): AsyncIterable<InputLine> {
  const chunks: AsyncIterable<Uint8Array> = path === '-' ? io.stdin() : createReadStream(resolve(io.cwd, path))
  const line = new LineBuffer()
  try {
    for await (const chunk of chunks) {
      let from = 0
      for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
        line.add(chunk.subarray(from, end))
        yield line.take()
        from = end + 1
      }
      line.add(chunk.subarray(from))
    }
  } catch (error) {
    throw new InvalidInput(`${path}: ${readFailure(error)}`)
  }
  if (!line.empty) yield line.take()
}

class LineBuffer {
  #number = 0
  #size = 0
  #parts: Uint8Array[] = []

  get empty(): boolean {
    return this.#size === 0
  }

  add(part: Uint8Array): void {
    this.#size += part.length
    if (this.#size <= LONGEST_LINE) this.#parts.push(part)
    else this.#parts = []
  }

  take(): InputLine {
    const text = this.#size > LONGEST_LINE ? null : decode(Buffer.concat(this.#parts))
    this.#size = 0
    this.#parts = []
    return { number: ++this.#number, text }
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/** Why a file cannot be read, in words. */
export function readFailure(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file or folder'
    case 'ENOTDIR':
      return 'a part of the path is no folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EISDIR':
      return 'is a folder'
    case 'ELOOP':
      return 'symbolic links lead in a circle'
    case 'ENAMETOOLONG':
      return 'the name is too long'
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'the file is not UTF-8 text'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}
