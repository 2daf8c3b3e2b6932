import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Folders inside folders. */
const MOST_DEPTH = 32

/** What stands in a folder, links followed. */
export interface FolderEntry {
  readonly name: string
  readonly path: string
  /** `other`: a pipe, a device or a socket; `missing`: a link that leads nowhere. */
  readonly kind: 'file' | 'other' | 'missing'
}

/**
 * Visits what is in a folder and below it, by name, folders in their place; hidden ones and node_modules are left out.
 * Links to folders are followed, each folder once. Throws what the file system throws, and where it is nested too deep.
 */
export async function walkFolder(
  folder: string,
  visit: { readonly folder?: (path: string) => void; readonly entry?: (entry: FolderEntry) => void },
): Promise<void> {
  await walk(folder, 0, new Set(), visit)
}

async function walk(
  folder: string,
  depth: number,
  seen: Set<string>,
  visit: Parameters<typeof walkFolder>[1],
): Promise<void> {
  if (depth > MOST_DEPTH) throw new Error(`folders are nested deeper than ${MOST_DEPTH}`)
  const real = await realpath(folder)
  if (seen.has(real)) return
  seen.add(real)
  visit.folder?.(folder)
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry
    if (name.startsWith('.') || name === 'node_modules') continue
    const path = join(folder, name)
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => null) : entry
    if (target === null) visit.entry?.({ name, path, kind: 'missing' })
    else if (target.isDirectory()) await walk(path, depth + 1, seen, visit)
    else visit.entry?.({ name, path, kind: target.isFile() ? 'file' : 'other' })
  }
}
