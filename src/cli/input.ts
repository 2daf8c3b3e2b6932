import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { readFailure, readText } from '../source/read-text.ts'
import type { Io } from './io.ts'

/** Input that cannot be read: exit code 3. */
export class InvalidInput extends Error {}

/** A file's text, or that of standard input for `-`. Throws InvalidInput. */
export async function readInput(path: string, io: Io): Promise<string> {
  try {
    return await readText(path === '-' ? io.stdin() : createReadStream(resolve(io.cwd, path)))
  } catch (error) {
    throw new InvalidInput(`${path}: ${readFailure(error)}`)
  }
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
