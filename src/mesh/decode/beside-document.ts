import { dirname, isAbsolute, join } from 'node:path'
import type { Cursor } from './cursor.ts'

/** A path in a file leads from that file's folder. */
export function besideDocument(path: string, at: Cursor): string {
  return isAbsolute(path) ? path : join(dirname(at.decoding.document.file), path)
}
