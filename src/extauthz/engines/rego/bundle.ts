import type { Buffer } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { readTar } from './tar.ts'
import { parseJson, printJson } from './text.ts'
import { isObject, type RegoObject, type RegoValue } from './value.ts'

/** What a bundle of OPA has that can be evaluated. */
export interface Bundle {
  /** Null in a bundle that was built for another target: it has policies as text only. */
  readonly wasm: Buffer | null
  /** JSON of `data`: every `data.json`, each below the path of its folder. */
  readonly data: string
}

export type BundleReading =
  | { readonly kind: 'read'; readonly bundle: Bundle }
  | { readonly kind: 'failed'; readonly message: string }

/** The unpacked size of a bundle, in bytes. */
const MAX_BYTES = 256 * 1024 * 1024

/**
 * Reads a bundle (`.tar.gz`). Signatures are not verified: the file is trusted as any other policy file is. The
 * manifest's `wasm` says which module has an entry point, which matters only where a bundle has several.
 */
export async function readBundle(packed: Buffer, entrypoint: string): Promise<BundleReading> {
  let bytes: Buffer
  try {
    bytes = await promisify(gunzip)(packed, { maxOutputLength: MAX_BYTES })
  } catch {
    return failed(`it is no gzip file, or unpacks to more than ${MAX_BYTES} bytes`)
  }
  const archive = readTar(bytes)
  if (archive.kind === 'failed') return archive
  const { files } = archive
  const data = readData(files)
  if (data.kind === 'failed') return data
  const wasm = files.get(moduleOf(files.get('.manifest'), entrypoint)) ?? null
  return { kind: 'read', bundle: { wasm, data: data.json } }
}

function moduleOf(manifest: Buffer | undefined, entrypoint: string): string {
  const parsed = manifest === undefined ? null : parseJson(manifest.toString('utf8'))
  const modules = parsed !== null && isObject(parsed.value) ? parsed.value.get('wasm') : null
  for (const entry of Array.isArray(modules) ? (modules as readonly RegoValue[]) : []) {
    if (!isObject(entry) || entry.get('entrypoint') !== entrypoint) continue
    const path = entry.get('module')
    if (typeof path === 'string') return path.replace(/^\/+/, '')
  }
  return 'policy.wasm'
}

type Data = { readonly kind: 'read'; readonly json: string } | { readonly kind: 'failed'; readonly message: string }

function readData(files: ReadonlyMap<string, Buffer>): Data {
  let root: RegoObject = new Map()
  for (const [path, content] of files) {
    const parts = path.split('/')
    const name = parts.pop()
    if (name === 'data.yaml' || name === 'data.yml') return failed(`${path} is YAML: pack its data as data.json`)
    if (name !== 'data.json') continue
    const parsed = parseJson(content.toString('utf8'))
    if (parsed === null) return failed(`${path} is no JSON`)
    const placed = parts.reduceRight<RegoValue>((value, part) => new Map([[part, value]]), parsed.value)
    const merged = isObject(placed) ? merge(root, placed) : null
    if (merged === null) return failed(`${path} says what another file of data says`)
    root = merged
  }
  return { kind: 'read', json: printJson(root) }
}

/** Both, or null where they disagree. */
function merge(a: RegoObject, b: RegoObject): RegoObject | null {
  const merged = new Map(a)
  for (const [key, value] of b) {
    const before = merged.get(key)
    if (before === undefined) {
      merged.set(key, value)
      continue
    }
    const both = isObject(before) && isObject(value) ? merge(before, value) : null
    if (both === null) return null
    merged.set(key, both)
  }
  return merged
}

function failed(message: string): { readonly kind: 'failed'; readonly message: string } {
  return { kind: 'failed', message }
}
