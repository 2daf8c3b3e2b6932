import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from '../observe/log.ts'
import { CredentialHolder, type CredentialSource, type Credentials, parseCredentials } from './credentials.ts'

/** Paths of PEM files. */
export interface CredentialPaths {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

export type OpenedCredentials =
  | { readonly kind: 'opened'; readonly source: CredentialSource }
  | { readonly kind: 'failed'; readonly reason: string }

/** A tool writes three files one after the other: they are read when it has been quiet for so long. */
const settleMs = 100
/** Where a file system tells of no changes, they are found by looking. */
const pollMs = 60_000

/**
 * Credentials from files, read again when one changes. Files that cannot be read or do not fit together are reported
 * and change nothing. Watchers and timers never keep the process alive.
 */
export function openCredentialFiles(paths: CredentialPaths, logger: Logger): OpenedCredentials {
  const first = readCredentials(paths)
  if (typeof first === 'string') return { kind: 'failed', reason: first }
  const holder = new CredentialHolder(first, logger)
  let settling: NodeJS.Timeout | undefined
  let complaint = ''

  function reload(): void {
    const read = readCredentials(paths)
    if (typeof read === 'string') {
      if (read !== complaint) logger.error('credentials were not reloaded', { reason: read })
      complaint = read
      return
    }
    complaint = ''
    const { certificate, key, ca } = holder.current
    if (read.certificate === certificate && read.key === key && read.ca === ca) return
    holder.replace(read)
    logger.info('credentials reloaded', { certificate: paths.certificate })
  }

  const settle = () => {
    clearTimeout(settling)
    settling = setTimeout(reload, settleMs)
    settling.unref()
  }
  // The folder, because tools replace files by renaming, and Kubernetes by a symbolic link beside them.
  const folders = new Set([paths.certificate, paths.key, paths.ca].map((path) => dirname(path)))
  const watchers = [...folders].flatMap((folder) => watchFolder(folder, settle, logger))
  const poll = setInterval(reload, pollMs)
  poll.unref()
  return {
    kind: 'opened',
    source: {
      current: () => holder.current,
      onChange: (listener) => holder.onChange(listener),
      close() {
        clearTimeout(settling)
        clearInterval(poll)
        for (const watcher of watchers) watcher.close()
      },
    },
  }
}

function watchFolder(folder: string, changed: () => void, logger: Logger): FSWatcher[] {
  const cannot = (error: unknown) =>
    logger.warn('a folder of credentials cannot be watched, it is looked at once a minute', {
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

/** What three files hold, or why there is nothing to be had. */
export function readCredentials({ certificate, key, ca }: CredentialPaths): Credentials | string {
  try {
    const parsed = parseCredentials(
      readFileSync(certificate, 'utf8'),
      readFileSync(key, 'utf8'),
      readFileSync(ca, 'utf8'),
    )
    return parsed.kind === 'credentials' ? parsed.credentials : `${certificate}, ${key}, ${ca}: ${parsed.reason}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
