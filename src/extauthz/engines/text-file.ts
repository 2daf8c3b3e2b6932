import { createReadStream } from 'node:fs'
import { readFailure, readText } from '../../source/read-text.ts'

export type ReadTextFile =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'failed'; readonly message: string }

/** A file of UTF-8 text of at most `mostBytes`. */
export async function readTextFile(path: string, mostBytes: number): Promise<ReadTextFile> {
  try {
    // One byte more tells that there is more.
    const text = await readText(createReadStream(path, { end: mostBytes }))
    if (Buffer.byteLength(text) > mostBytes) return { kind: 'failed', message: `${path}: more than ${mostBytes} bytes` }
    return { kind: 'text', text }
  } catch (error) {
    return { kind: 'failed', message: `${path}: ${readFailure(error)}` }
  }
}
