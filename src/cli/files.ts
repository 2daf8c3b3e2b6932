import { constants, createReadStream } from 'node:fs'
import { access, readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Diagnostic, diagnostic } from '../source/diagnostic.ts'
import type { SourceDocument } from '../source/document.ts'
import { parseSource } from '../source/parse.ts'
import { readFailure, readText } from './input.ts'
import type { Io } from './io.ts'

export interface ReadFiles {
  readonly documents: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
}

/** A mesh of more files than this is a mistaken folder. */
const MOST_FILES = 100_000
const MOST_DEPTH = 32

/** The files, folders and standard input that a command was given, which may be read again when they change. */
export class InputFiles {
  /** As the user wrote them. */
  readonly paths: readonly string[]
  readonly #io: Io
  #stdin: string | null = null

  constructor(paths: readonly string[], io: Io) {
    this.paths = paths
    this.#io = io
  }

  /** Where relative names lead from. */
  get cwd(): string {
    return this.#io.cwd
  }

  /** What can change: absolute, without standard input. */
  get watched(): readonly string[] {
    return this.paths.filter((path) => path !== '-').map((path) => resolve(this.#io.cwd, path))
  }

  /**
   * Reads every path: a file, a folder (all .yaml, .yml and .json below it, hidden ones and node_modules left out), or
   * `-`. What cannot be read is a diagnostic; the rest is read all the same. File names stay as the user wrote them.
   */
  async read(): Promise<ReadFiles> {
    const documents: SourceDocument[] = []
    const diagnostics: Diagnostic[] = []
    const seen = new Set<string>()
    const parse = async (file: string, read: () => Promise<string>) => {
      try {
        const parsed = parseSource(file, await read())
        for (const document of parsed.documents) documents.push(document)
        for (const one of parsed.diagnostics) diagnostics.push(one)
      } catch (error) {
        diagnostics.push(diagnostic('SP001', { file }, readFailure(error)))
      }
    }
    for (const path of this.paths) {
      if (path === '-') {
        await parse(path, () => this.#readStdin())
        continue
      }
      const found = await listFiles(path, resolve(this.#io.cwd, path))
      if ('problem' in found) {
        diagnostics.push(diagnostic('SP001', { file: path }, found.problem))
        continue
      }
      for (const { name, absolute, stream } of found.files) {
        if (seen.has(absolute)) continue
        seen.add(absolute)
        await parse(name, async () =>
          stream ? readText(createReadStream(absolute)) : decode(await readFile(absolute)),
        )
      }
    }
    return { documents, diagnostics }
  }

  /** It can be read once, and what it held stays in effect when other files change. */
  async #readStdin(): Promise<string> {
    this.#stdin ??= await readText(this.#io.stdin())
    return this.#stdin
  }
}

interface Found {
  readonly name: string
  readonly absolute: string
  /** No regular file, such as the pipe of `<(command)`: its size is not known before its end. */
  readonly stream: boolean
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

async function listFiles(
  name: string,
  absolute: string,
): Promise<{ readonly files: readonly Found[] } | { readonly problem: string }> {
  try {
    const info = await stat(absolute)
    await access(absolute, constants.R_OK)
    if (!info.isDirectory()) return { files: [{ name, absolute, stream: !info.isFile() }] }
    const files: Found[] = []
    await walk(name, absolute, 0, files)
    if (files.length === 0) return { problem: 'the folder holds no .yaml, .yml or .json file' }
    return { files }
  } catch (error) {
    return { problem: readFailure(error) }
  }
}

async function walk(name: string, absolute: string, depth: number, files: Found[]): Promise<void> {
  if (depth > MOST_DEPTH) throw new Error(`folders are nested deeper than ${MOST_DEPTH}`)
  const entries = await readdir(absolute, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    const child = { name: join(name, entry.name), absolute: join(absolute, entry.name), stream: false }
    if (entry.isDirectory()) await walk(child.name, child.absolute, depth + 1, files)
    else if (/\.(ya?ml|json)$/.test(entry.name)) files.push(child)
    if (files.length > MOST_FILES) throw new Error(`the folder holds more than ${MOST_FILES} files`)
  }
}
