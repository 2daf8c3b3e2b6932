import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CertificateAuthority,
  createDevelopmentCa,
  type DevelopmentCaOptions,
  openDevelopmentCa,
} from './certificate-authority.ts'
import { createFile, readFileIfThere } from './whole-file.ts'

export type OpenedCa =
  | { readonly kind: 'opened' | 'created'; readonly ca: CertificateAuthority }
  | { readonly kind: 'failed'; readonly reason: string }

/** The files of a development CA in its folder. */
export const ROOT_CERTIFICATES = 'root-cert.pem'
export const ROOT_KEYS = 'root-key.pem'

/**
 * The development CA kept in `folder` as `root-cert.pem` and `root-key.pem` (0600), made when neither is there. Of two
 * processes that make it at the same time one wins and both use its root.
 */
export function openCaFolder(folder: string, options: DevelopmentCaOptions): OpenedCa {
  return orFailed(() => open(folder, options, awaitRoot) ?? create(folder, options))
}

/** The same at once, without making one where there is none: null then. */
export function reopenCaFolder(folder: string, options: DevelopmentCaOptions): OpenedCa | null {
  return orFailed(() => open(folder, options, readRoot))
}

function orFailed<T>(act: () => T): T | { readonly kind: 'failed'; readonly reason: string } {
  try {
    return act()
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
  }
}

function open(
  folder: string,
  options: DevelopmentCaOptions,
  rootBesideKey: (folder: string) => string | null,
): OpenedCa | null {
  const early = readFileIfThere(join(folder, ROOT_KEYS))
  const root = early === null ? readRoot(folder) : rootBesideKey(folder)
  // A certificate that came between the two looks has brought its key before it.
  const key = root === null ? early : readFileIfThere(join(folder, ROOT_KEYS))
  if (root === null && key === null) return null
  if (root === null || key === null) {
    const absent = root === null ? ROOT_CERTIFICATES : ROOT_KEYS
    return { kind: 'failed', reason: `${folder} has no ${absent} beside the other file of the root` }
  }
  const ca = openDevelopmentCa(root, key, options)
  return 'kind' in ca ? { kind: 'failed', reason: `${folder}: ${ca.reason}` } : { kind: 'opened', ca }
}

/** Both files appear whole: first the key, which only one process can be the first to make, then the certificate. */
function create(folder: string, options: DevelopmentCaOptions): OpenedCa {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const ca = createDevelopmentCa(options)
  if (createFile(join(folder, ROOT_KEYS), ca.rootKey, 0o600)) {
    if (createFile(join(folder, ROOT_CERTIFICATES), ca.root, 0o644)) return { kind: 'created', ca }
    return { kind: 'failed', reason: `${folder} got another root-cert.pem while its key was made` }
  }
  return open(folder, options, awaitRoot) ?? { kind: 'failed', reason: `${folder} lost its root while it was opened` }
}

/** Another process that has made its key is about to make its certificate: a matter of microseconds, unless the machine is busy. */
function awaitRoot(folder: string): string | null {
  const end = performance.now() + 5000
  const sleep = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    const root = readRoot(folder)
    if (root !== null || performance.now() > end) return root
    Atomics.wait(sleep, 0, 0, 10)
  }
}

function readRoot(folder: string): string | null {
  return readFileIfThere(join(folder, ROOT_CERTIFICATES))
}
