import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from '../observe/log.ts'
import { CredentialHolder, type CredentialSource, type Credentials, parseCredentials } from './credentials.ts'
import { watchFolders } from './watch-folders.ts'

/** Paths of PEM files. */
export interface CredentialPaths {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

export type OpenedCredentials =
  | { readonly kind: 'opened'; readonly source: CredentialSource }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * Credentials from files, read again when one changes. Files that cannot be read or do not fit together are reported
 * and change nothing. Watchers and timers never keep the process alive.
 */
export function openCredentialFiles(paths: CredentialPaths, logger: Logger): OpenedCredentials {
  const first = readCredentials(paths)
  if (typeof first === 'string') return { kind: 'failed', reason: first }
  const holder = new CredentialHolder(first, logger)
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

  // The folder, because tools replace files by renaming, and Kubernetes by a symbolic link beside them.
  const folders = [paths.certificate, paths.key, paths.ca].map((path) => dirname(path))
  const stop = watchFolders(folders, reload, logger)
  return {
    kind: 'opened',
    source: {
      current: () => holder.current,
      onChange: (listener) => holder.onChange(listener),
      close: stop,
    },
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
