import { type FSWatcher, watch } from 'node:fs'
import type { Logger } from '../observe/log.ts'

/** A tool writes several files one after the other: they are read when it has been quiet for so long. */
const settleMs = 100
/** Under changes that never pause they are read all the same. */
const latestMs = 2000
/** Where a file system tells of no changes, they are found by looking. */
const pollMs = 60_000

/**
 * Calls `look` a moment after something in one of the folders has changed, and once a minute in any case. Returns how
 * to stop that. Watchers and timers never keep the process alive.
 */
export function watchFolders(folders: readonly string[], look: () => void, logger: Logger): () => void {
  let settling: NodeJS.Timeout | undefined
  let since: number | null = null
  const changed = () => {
    since ??= performance.now()
    clearTimeout(settling)
    const left = latestMs - (performance.now() - since)
    settling = setTimeout(
      () => {
        since = null
        look()
      },
      Math.max(0, Math.min(settleMs, left)),
    )
    settling.unref()
  }
  const watchers = [...new Set(folders)].flatMap((folder) => watchFolder(folder, changed, logger))
  const poll = setInterval(look, pollMs)
  poll.unref()
  return () => {
    clearTimeout(settling)
    clearInterval(poll)
    for (const watcher of watchers) watcher.close()
  }
}

function watchFolder(folder: string, changed: () => void, logger: Logger): FSWatcher[] {
  const cannot = (error: unknown) =>
    logger.warn('a folder of certificates cannot be watched, it is looked at once a minute', {
      folder,
      reason: String(error),
    })
  try {
    const watcher = watch(folder, { persistent: false }, changed)
    watcher.on('error', cannot)
    return [watcher]
  } catch (error) {
    cannot(error)
    return []
  }
}
