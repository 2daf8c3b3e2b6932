import { type FSWatcher, watch as watchFolder } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type FolderEntry, walkFolder } from '../source/folders.ts'

export interface Watcher {
  /** Resolves when changes are noticed at once, and no more only by looking. */
  readonly watching: Promise<void>
  close(): void
}

export interface WatchOptions {
  /** Files or folders, absolute; asked again after each change. */
  readonly paths: () => readonly string[]
  /** What `look` saw before the files were read, so that no change since then is missed. */
  readonly since: Sight
  /**
   * One call stands for many events; the next comes only after the promise of the last, which never rejects. `same` says
   * whether the files are still as they were seen before the call: when not, they may have been read half written, and
   * another call follows.
   */
  readonly changed: (same: () => Promise<boolean>) => Promise<void>
  /** Milliseconds between two looks, for what no event tells: network file systems, containers; default 2000. */
  readonly poll?: number
}

/** More folders than this are only looked at now and then. */
const MOST_FOLDERS = 1000
/** An editor writes a file in several steps: what is seen twice, so far apart, is taken as done. */
const QUIET = 50
/** Files that never rest are read all the same after so many looks. */
const MOST_LOOKS = 20
const POLL = 2000

/** Calls `changed` soon after something changes in any of the paths. */
export function watchPaths(options: WatchOptions): Watcher {
  const watch = new PathWatch(options)
  return { watching: watch.start(), close: () => watch.close() }
}

class PathWatch {
  readonly #options: WatchOptions
  readonly #poll: NodeJS.Timeout
  readonly #watchers = new Map<string, FSWatcher>()
  #seen: Sight
  #timer: NodeJS.Timeout | null = null
  #running = false
  #again = false
  #closed = false
  /** What the last look saw, and how many have seen something new in a row. */
  #last: Sight
  #looks = 0

  constructor(options: WatchOptions) {
    this.#options = options
    this.#seen = options.since
    this.#last = options.since
    this.#poll = setInterval(() => this.#schedule(), options.poll ?? POLL)
    this.#poll.unref()
  }

  async start(): Promise<void> {
    const sight = await look(this.#options.paths())
    // Paths that nobody had looked at before count from now.
    this.#seen = { ...this.#seen, files: new Map([...sight.files, ...this.#seen.files]) }
    this.#rewatch(sight.folders)
    // A change between the first look and the watchers is seen here.
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#poll)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#rewatch(new Set())
  }

  #schedule(): void {
    if (!this.#closed && this.#timer === null) this.#timer = setTimeout(() => void this.#check(), QUIET)
  }

  async #check(): Promise<void> {
    this.#timer = null
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = true
    try {
      const paths = this.#options.paths()
      const sight = await look(paths)
      if (this.#closed) return
      // Folders first: what changes in a new one from here on is an event.
      this.#rewatch(sight.folders)
      const differs = (other: Sight) => paths.some((path) => sight.files.get(path) !== other.files.get(path))
      const resting = !differs(this.#last) || this.#looks >= MOST_LOOKS
      this.#last = sight
      if (!differs(this.#seen)) this.#looks = 0
      else if (!resting) {
        this.#looks++
        this.#again = true
      } else {
        this.#looks = 0
        this.#seen = sight
        await this.#options.changed(() => this.#same(paths, sight))
      }
    } finally {
      this.#running = false
    }
    if (this.#again) {
      this.#again = false
      this.#schedule()
    }
  }

  async #same(paths: readonly string[], sight: Sight): Promise<boolean> {
    const now = await look(paths)
    const same = paths.every((path) => now.files.get(path) === sight.files.get(path))
    if (!same) this.#again = true
    return same
  }

  #rewatch(wanted: ReadonlySet<string>): void {
    const folders = wanted.size > MOST_FOLDERS ? new Set<string>() : wanted
    for (const [folder, watcher] of this.#watchers) {
      if (!folders.has(folder)) this.#drop(folder, watcher)
    }
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#open(folder)
  }

  #open(folder: string): void {
    try {
      const watcher = watchFolder(folder, (event, name) => {
        // A folder that was itself removed or renamed is another one when it comes back.
        if (event === 'rename' && name !== null && folder.endsWith(name)) this.#drop(folder, watcher)
        this.#schedule()
      })
      watcher.on('error', () => this.#drop(folder, watcher))
      this.#watchers.set(folder, watcher)
    } catch {
      // It is gone again, or cannot be watched: then it is looked at now and then.
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder)
  }
}

/** What was to be seen at one moment. */
export interface Sight {
  /** By path as given: names, sizes and times of everything below it. */
  readonly files: ReadonlyMap<string, string>
  /** The folders in which a change can matter. */
  readonly folders: ReadonlySet<string>
}

export async function look(paths: readonly string[]): Promise<Sight> {
  const files = new Map<string, string>()
  const folders = new Set<string>()
  for (const path of paths) {
    if (await isFolder(path)) files.set(path, (await walk(path, folders)).join('\n'))
    else {
      // A replaced file is seen in the folder that it is in.
      folders.add(dirname(path))
      files.set(path, await fingerprint(path))
    }
  }
  return { files, folders }
}

/** What the commands read, and what those files name. */
const MATTERS = /\.(ya?ml|json|[cm]?[jt]s|cel|cedar|cedarschema|rego|wasm|gz|pem|crt|key)$/

async function walk(folder: string, folders: Set<string>): Promise<string[]> {
  const paths: string[] = []
  const visit = {
    folder: (path: string) => folders.add(path),
    entry: ({ name, path }: FolderEntry) => {
      if (MATTERS.test(name)) paths.push(path)
    },
  }
  // A folder that goes away meanwhile is another sight than before, which is all that counts here.
  await walkFolder(folder, visit).catch(() => paths.push('?'))
  return Promise.all(paths.map(fingerprint))
}

async function fingerprint(path: string): Promise<string> {
  const info = await stat(path).catch(() => null)
  if (info === null) return `${path}?`
  // A pipe changes by being read, and is read once.
  if (!info.isFile()) return `${path}!`
  // The second time tells of permissions.
  return `${path}:${info.size}:${info.mtimeMs}:${info.ctimeMs}:${info.ino}`
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false
}
