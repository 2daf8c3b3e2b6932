import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, lstatSync, rmSync, type Stats } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

export type ClaimedSocket =
  | { readonly kind: 'claimed'; readonly release: () => void }
  | { readonly kind: 'failed'; readonly error: Error }

/** How long a process that listens may take to accept. */
const patience = 1000

/**
 * Listens on the file `path`. `listen` is given another name in the same folder, and the file gets its own once its
 * permissions are right, so that nobody connects before that. A file that is left over from a process that ended is
 * replaced; a socket on which somebody listens, and whatever is no socket, is not: the error has the code EADDRINUSE.
 */
export async function claimUnixSocket(
  path: string,
  mode: number | null,
  listen: (path: string) => Promise<void>,
): Promise<ClaimedSocket> {
  const temporary = join(dirname(path), `.${randomBytes(4).toString('hex')}`)
  try {
    await listen(temporary)
    if (mode !== null) chmodSync(temporary, mode)
    await place(temporary, path)
    const own = lstatSync(path)
    const release = () => {
      if (same(own, look(path))) rmSync(path, { force: true })
    }
    return { kind: 'claimed', release }
  } catch (error) {
    return { kind: 'failed', error: error as Error }
  } finally {
    rmSync(temporary, { force: true })
  }
}

async function place(temporary: string, path: string): Promise<void> {
  try {
    // A link, because a rename would replace what another process has made meanwhile.
    linkSync(temporary, path)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = look(path)
  if (found !== null) {
    if (!found.isSocket()) throw inUse(path, 'a file that is no socket is there')
    if (await isAnswered(path)) throw inUse(path, 'another process listens there')
    if (same(found, look(path))) rmSync(path, { force: true })
  }
  linkSync(temporary, path)
}

function look(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null
}

function same(a: Stats, b: Stats | null): boolean {
  return b !== null && a.ino === b.ino && a.dev === b.dev
}

/** Only a refusal says that nobody listens: whatever else happens, somebody may. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(patience, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'))
  })
}

function inUse(path: string, why: string): Error {
  return Object.assign(new Error(`listen EADDRINUSE: ${why}: ${path}`), { code: 'EADDRINUSE', path })
}
