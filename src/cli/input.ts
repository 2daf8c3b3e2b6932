import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Io } from './io.ts'

/** Input that cannot be read: exit code 3. */
export class InvalidInput extends Error {}

/** A file's text, or standard input for `-`. */
export async function readInput(file: string, io: Io): Promise<string> {
  if (file === '-') return io.stdin()
  try {
    return await readFile(resolve(io.cwd, file), 'utf8')
  } catch (error) {
    throw new InvalidInput(`${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
