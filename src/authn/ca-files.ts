import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CertificateAuthority,
  createDevelopmentCa,
  type DevelopmentCaOptions,
  openDevelopmentCa,
} from './certificate-authority.ts'

export type OpenedCa =
  | { readonly kind: 'opened' | 'created'; readonly ca: CertificateAuthority }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * The development CA kept in `folder` as `root-cert.pem` and `root-key.pem` (0600), made when neither is there. Of two
 * processes that make it at the same time one wins and both use its root.
 */
export function openCaFolder(folder: string, options: DevelopmentCaOptions): OpenedCa {
  try {
    return open(folder, options) ?? create(folder, options)
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
  }
}

function open(folder: string, options: DevelopmentCaOptions): OpenedCa | null {
  const early = read(join(folder, 'root-key.pem'))
  const root = early === null ? read(join(folder, 'root-cert.pem')) : awaitRoot(folder)
  // A certificate that came between the two looks has brought its key before it.
  const key = root === null ? early : read(join(folder, 'root-key.pem'))
  if (root === null && key === null) return null
  if (root === null || key === null) {
    const absent = root === null ? 'root-cert.pem' : 'root-key.pem'
    return { kind: 'failed', reason: `${folder} has no ${absent} beside the other file of the root` }
  }
  const ca = openDevelopmentCa(root, key, options)
  return 'kind' in ca ? { kind: 'failed', reason: `${folder}: ${ca.reason}` } : { kind: 'opened', ca }
}

/** Both files appear whole: first the key, which only one process can be the first to make, then the certificate. */
function create(folder: string, options: DevelopmentCaOptions): OpenedCa {
  mkdirSync(folder, { recursive: true })
  const ca = createDevelopmentCa(options)
  const suffix = randomBytes(8).toString('hex')
  const made = (name: string, text: string, mode: number): boolean => {
    const temporary = join(folder, `.${name}.${suffix}`)
    writeFileSync(temporary, text, { mode, flag: 'wx' })
    try {
      linkSync(temporary, join(folder, name))
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    } finally {
      rmSync(temporary, { force: true })
    }
  }
  if (made('root-key.pem', ca.rootKey, 0o600)) {
    if (made('root-cert.pem', ca.root, 0o644)) return { kind: 'created', ca }
    return { kind: 'failed', reason: `${folder} got another root-cert.pem while its key was made` }
  }
  return open(folder, options) ?? { kind: 'failed', reason: `${folder} lost its root while it was opened` }
}

/** Another process that has made its key is about to make its certificate: a matter of microseconds, unless the machine is busy. */
function awaitRoot(folder: string): string | null {
  const end = performance.now() + 5000
  const sleep = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    const root = read(join(folder, 'root-cert.pem'))
    if (root !== null || performance.now() > end) return root
    Atomics.wait(sleep, 0, 0, 10)
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
