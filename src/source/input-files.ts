import { constants, createReadStream } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { type Diagnostic, diagnostic } from './diagnostic.ts'
import type { SourceDocument } from './document.ts'
import { walkFolder } from './folders.ts'
import { readFailure, readText } from './read-text.ts'
import { SourceFile } from './source-file.ts'

export interface ReadFiles {
  readonly documents: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Where relative names lead from, and what `-` stands for. */
export interface InputPlace {
  readonly cwd: string
  stdin(): AsyncIterable<Uint8Array>
}

/** A mesh of more files than this is a mistaken folder. */
const MOST_FILES = 100_000

/** The files, folders and standard input that a command was given, which may be read again when they change. */
export class InputFiles {
  /** As the user wrote them. */
  readonly paths: readonly string[]
  readonly #place: InputPlace
  #stdin: string | null = null
  /** By name: what was read before, so that only what changed is parsed again. */
  #sources: ReadonlyMap<string, SourceFile> = new Map()
  /** Files that held something when they were read before. */
  readonly #filled = new Set<string>()
  /** What pipes held: they can be read once. */
  readonly #streams = new Map<string, string>()

  constructor(paths: readonly string[], place: InputPlace) {
    this.paths = paths
    this.#place = place
  }

  /** Where relative names lead from. */
  get cwd(): string {
    return this.#place.cwd
  }

  /** What can change: absolute, without standard input. */
  get watched(): readonly string[] {
    return this.paths.filter((path) => path !== '-').map((path) => resolve(this.#place.cwd, path))
  }

  /**
   * Reads every path: a file, a folder (all .yaml, .yml and .json below it, hidden ones and node_modules left out), or
   * `-`. What cannot be read is a diagnostic; the rest is read all the same. File names stay as the user wrote them.
   */
  async read(): Promise<ReadFiles> {
    const documents: SourceDocument[] = []
    const diagnostics: Diagnostic[] = []
    const seen = new Set<string>()
    const sources = new Map<string, SourceFile>()
    const parse = async (file: string, read: () => Promise<string>) => {
      try {
        const text = await read()
        if (text !== '') this.#filled.add(file)
        else if (this.#filled.has(file)) {
          diagnostics.push(diagnostic('SP001', { file }, 'the file is empty, and was not before', { help: EMPTIED }))
          return
        }
        const source = this.#sources.get(file) ?? new SourceFile(file)
        sources.set(file, source)
        const parsed = source.parse(text)
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
      const found = await listFiles(path, resolve(this.#place.cwd, path))
      if ('problem' in found) {
        diagnostics.push(diagnostic('SP001', { file: path }, found.problem))
        continue
      }
      for (const { name, absolute, kind } of found.files) {
        if (seen.has(absolute)) continue
        seen.add(absolute)
        if (kind === 'other' || kind === 'missing') {
          const why = kind === 'other' ? 'is no regular file' : 'is a link that leads nowhere'
          diagnostics.push(diagnostic('SP001', { file: name }, why))
          continue
        }
        await parse(name, () => (kind === 'stream' ? this.#readStream(absolute) : readFile(absolute).then(decode)))
      }
    }
    this.#sources = sources
    return { documents, diagnostics }
  }

  async #readStream(path: string): Promise<string> {
    const text = this.#streams.get(path) ?? (await readText(createReadStream(path)))
    this.#streams.set(path, text)
    return text
  }

  /** It can be read once, and what it held stays in effect when other files change. */
  async #readStdin(): Promise<string> {
    this.#stdin ??= await readText(this.#place.stdin())
    return this.#stdin
  }
}

const EMPTIED = 'it may be half-written; remove it, or leave a comment in it, to take out what it held'

interface Found {
  readonly name: string
  readonly absolute: string
  /**
   * `stream`: no regular file, such as the pipe of `<(command)`, that the user named. `other`: one that stands in a folder.
   * `missing`: a link that leads nowhere.
   */
  readonly kind: 'file' | 'stream' | 'other' | 'missing'
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
    if (!info.isDirectory()) return { files: [{ name, absolute, kind: info.isFile() ? 'file' : 'stream' }] }
    const files = await listFolder(name, absolute)
    if (files.length === 0) return { problem: 'the folder holds no .yaml, .yml or .json file' }
    return { files }
  } catch (error) {
    return { problem: readFailure(error) }
  }
}

/** Links are followed. Whatever is named like a file of ours and is none is an error: it might be a policy. */
async function listFolder(name: string, absolute: string): Promise<Found[]> {
  const files: Found[] = []
  await walkFolder(absolute, {
    entry({ name: entry, path, kind }) {
      if (!/\.(ya?ml|json)$/.test(entry)) return
      files.push({ name: join(name, relative(absolute, path)), absolute: path, kind })
      if (files.length > MOST_FILES) throw new Error(`the folder holds more than ${MOST_FILES} files`)
    },
  })
  return files
}
