import { type FSWatcher, watch as watchFolder } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Watcher {
  close(): void
}

/** More folders than this are only looked at now and then. */
const MOST_FOLDERS = 1000
/** An editor writes a file in several steps. */
const QUIET = 50
/** For what no event tells: network file systems, links that are swapped, containers. */
const POLL = 2000

/**
 * Calls `changed` soon after something changes in any of the paths (files or folders, absolute). One call stands for
 * many events; the next comes only after the promise of the last, which never rejects. `paths` is asked again after each.
 *
 * `since` is the fingerprint that was taken before the files were read: what changed between then and now is a change.
 */
export function watchPaths(paths: () => readonly string[], since: string, changed: () => Promise<void>): Watcher {
  let closed = false
  let watchers: readonly FSWatcher[] = []
  let timer: NodeJS.Timeout | null = null
  let running = false
  let again = false
  let seen = since

  const fire = async () => {
    timer = null
    if (running) {
      again = true
      return
    }
    running = true
    const now = await fingerprint(paths())
    if (now !== seen && !closed) {
      // Taken before the call, so that a change during it, also of what is watched, is followed by another.
      seen = now
      await changed()
      await rewatch()
      again = true
    }
    running = false
    if (again && !closed) {
      again = false
      schedule()
    }
  }
  const schedule = () => {
    if (!closed && timer === null) timer = setTimeout(fire, QUIET)
  }
  const rewatch = async () => {
    const folders = await foldersOf(paths())
    for (const watcher of watchers) watcher.close()
    watchers = closed || folders.length > MOST_FOLDERS ? [] : folders.flatMap((folder) => open(folder, schedule))
  }
  const poll = setInterval(schedule, POLL)
  poll.unref()
  // A change before the watchers were there is found by the first look.
  void rewatch().then(schedule)
  return {
    close() {
      closed = true
      clearInterval(poll)
      if (timer !== null) clearTimeout(timer)
      for (const watcher of watchers) watcher.close()
    },
  }
}

function open(folder: string, schedule: () => void): FSWatcher[] {
  try {
    const watcher = watchFolder(folder, schedule)
    watcher.on('error', () => watcher.close())
    return [watcher]
  } catch {
    return []
  }
}

/** The folders in which a change can matter: of a file, the one that it is in, so that a replaced file is seen. */
async function foldersOf(paths: readonly string[]): Promise<string[]> {
  const folders = new Set<string>()
  for (const path of paths) {
    if (await isFolder(path)) await walk(path, (folder) => folders.add(folder))
    else folders.add(dirname(path))
  }
  return [...folders]
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

async function walk(folder: string, visit: (folder: string) => void): Promise<void> {
  visit(folder)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') {
      await walk(join(folder, entry.name), visit)
    }
  }
}

/** Names, sizes and times of everything below the paths, to be compared with another. */
export async function fingerprint(paths: readonly string[]): Promise<string> {
  const parts: string[] = []
  const add = async (path: string) => {
    const info = await stat(path).catch(() => null)
    parts.push(info === null ? `${path}?` : `${path}:${info.size}:${info.mtimeMs}:${info.ino}`)
  }
  for (const path of paths) {
    if (!(await isFolder(path))) {
      await add(path)
      continue
    }
    const folders: string[] = []
    await walk(path, (folder) => folders.push(folder))
    for (const folder of folders) {
      const entries = await readdir(folder).catch(() => [])
      for (const name of entries.sort())
        if (/\.(ya?ml|json|m?[jt]s|pem|crt|key)$/.test(name)) await add(join(folder, name))
    }
  }
  return parts.join('\n')
}
