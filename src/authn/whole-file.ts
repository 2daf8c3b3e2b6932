import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Puts a whole file in the place of another: a reader sees the old one or the new one, and what `mode` forbids is never
 * allowed for a moment. Throws what the file system throws.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  place(path, text, mode, renameSync)
}

/**
 * The same where there is no file yet: of two processes that make it one wins. False when it is there already. Throws what
 * the file system throws otherwise.
 */
export function createFile(path: string, text: string, mode: number): boolean {
  try {
    place(path, text, mode, linkSync)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Null when there is no such file. Throws what the file system throws otherwise. */
export function readFileIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function place(path: string, text: string, mode: number, name: (from: string, to: string) => void): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`)
  try {
    writeFileSync(temporary, text, { mode, flag: 'wx' })
    name(temporary, path)
  } finally {
    rmSync(temporary, { force: true })
  }
}
