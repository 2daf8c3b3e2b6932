import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_CERTIFICATES, ROOT_KEYS, reopenCaFolder } from './ca-files.ts'
import { type CertificateAuthority, createDevelopmentCa, type DevelopmentCaOptions } from './certificate-authority.ts'
import { replaceFile } from './whole-file.ts'
import { splitPem } from './x509/pem.ts'

export type Rotation =
  /** `ca` is the authority from now on. */
  | { readonly kind: 'begun' | 'finished'; readonly ca: CertificateAuthority }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * Replaces the root of the development CA in `folder`: certificates are issued under a new one from now on, and those
 * of the old one stay trusted until `finishRotation`. One rotation at a time, so that the bundle stays small.
 */
export function beginRotation(folder: string, options: DevelopmentCaOptions): Rotation {
  return alone(folder, options, (old) => {
    if (splitPem(old.roots, 'CERTIFICATE').length > 1) {
      return { kind: 'failed', reason: `${folder} still trusts the root before: finish that rotation first` }
    }
    const fresh = createDevelopmentCa(options)
    // The keys first: whoever reads the certificates reads their keys after them.
    replaceFile(join(folder, ROOT_KEYS), fresh.rootKey + readFileSync(join(folder, ROOT_KEYS), 'utf8'), 0o600)
    replaceFile(join(folder, ROOT_CERTIFICATES), fresh.roots + old.roots, 0o644)
    return reopened(folder, options, 'begun')
  })
}

/** Ends the trust in roots that have been replaced, and forgets their keys. */
export function finishRotation(folder: string, options: DevelopmentCaOptions): Rotation {
  return alone(folder, options, (ca) => {
    if (splitPem(ca.roots, 'CERTIFICATE').length === 1) {
      return { kind: 'failed', reason: `${folder} trusts one root only: there is no rotation to finish` }
    }
    replaceFile(join(folder, ROOT_CERTIFICATES), ca.root, 0o644)
    replaceFile(join(folder, ROOT_KEYS), ca.rootKey, 0o600)
    return reopened(folder, options, 'finished')
  })
}

function reopened(folder: string, options: DevelopmentCaOptions, kind: 'begun' | 'finished'): Rotation {
  const opened = reopenCaFolder(folder, options)
  if (opened === null) return { kind: 'failed', reason: `${folder} lost its root while it was replaced` }
  return opened.kind === 'failed' ? opened : { kind, ca: opened.ca }
}

/** With the authority as it is, while no other process replaces its root. */
function alone(folder: string, options: DevelopmentCaOptions, act: (ca: CertificateAuthority) => Rotation): Rotation {
  const lock = join(folder, '.rotating')
  try {
    const absent = { kind: 'failed', reason: `there is no CA in ${folder}` } as const
    if (reopenCaFolder(folder, options) === null) return absent
    writeFileSync(lock, '', { flag: 'wx', mode: 0o600 })
    try {
      // Read once more: another process may have ended its rotation just before.
      const opened = reopenCaFolder(folder, options)
      if (opened === null) return absent
      return opened.kind === 'failed' ? opened : act(opened.ca)
    } finally {
      rmSync(lock, { force: true })
    }
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const reason = error instanceof Error ? error.message : String(error)
    return {
      kind: 'failed',
      reason: taken ? `another process replaces the root; if none does, remove ${lock}` : reason,
    }
  }
}
