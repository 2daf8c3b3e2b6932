import type { EntityJson, EntityUidJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import type { Cedar } from './cedar-library.ts'
import { RESOURCE } from './cedar-names.ts'
import type { CedarSchema } from './cedar-schema.ts'
import type { EngineLoading } from './engine.ts'
import { readTextFile } from './text-file.ts'

const MOST_BYTES = 16 * 1024 * 1024

export type ReadCedarEntities =
  | { readonly kind: 'read'; readonly entities: readonly EntityJson[] }
  | Extract<EngineLoading, { readonly kind: 'failed' }>

/** A list of entities as JSON. */
export async function readEntities(path: string, schema: CedarSchema | null, cedar: Cedar): Promise<ReadCedarEntities> {
  const read = await readTextFile(path, MOST_BYTES)
  if (read.kind === 'failed') return read
  let entities: EntityJson[]
  try {
    entities = JSON.parse(read.text)
  } catch {
    return { kind: 'failed', message: `${path}: not valid JSON` }
  }
  if (!Array.isArray(entities)) return { kind: 'failed', message: `${path}: not a list of entities` }
  const checked = cedar.checkParseEntities({ entities, ...(schema === null ? {} : { schema: schema.schema }) })
  if (checked.type === 'success') return { kind: 'read', entities }
  const [first] = checked.errors
  return { kind: 'failed', message: `${path}: ${first?.message ?? 'no entities'}` }
}

/**
 * The entities that a decision can look at, which are few however many there are: Cedar reads all that it is given for
 * each request.
 */
export class CedarEntities {
  readonly #byUid = new Map<string, EntityJson>()
  readonly #constant: readonly TypeAndId[]
  readonly #nested: boolean

  /** `named`: entities that policies name. `nested`: whether a path is in the paths above it. */
  constructor(entities: readonly EntityJson[], named: readonly TypeAndId[], nested: boolean) {
    for (const entity of entities) this.#byUid.set(keyOf(uidOf(entity.uid)), entity)
    this.#constant = named
    this.#nested = nested
  }

  /** What can be reached from these, and from whatever policies name; `paths` from the resource up. */
  reachable(principal: TypeAndId, action: TypeAndId, paths: readonly string[]): EntityJson[] {
    const found = new Map<string, EntityJson>()
    const open: TypeAndId[] = [principal, action, ...this.#constant]
    for (const [i, path] of paths.entries()) {
      const uid = { type: RESOURCE, id: path }
      const known = this.#byUid.get(keyOf(uid))
      const above = paths[i + 1]
      const parents = this.#nested && above !== undefined ? [{ type: RESOURCE, id: above }] : []
      const entity: EntityJson = { uid, attrs: {}, ...known, parents: [...(known?.parents ?? []), ...parents] }
      found.set(keyOf(uid), entity)
      open.push(...referencesIn(entity))
      if (!this.#nested) break
    }
    for (let uid = open.pop(); uid !== undefined; uid = open.pop()) {
      const key = keyOf(uid)
      const entity = this.#byUid.get(key)
      if (entity === undefined || found.has(key)) continue
      found.set(key, entity)
      open.push(...referencesIn(entity))
    }
    return [...found.values()]
  }
}

/** Every entity that stands somewhere in JSON of Cedar's. */
export function entitiesIn(json: unknown, into: TypeAndId[] = []): TypeAndId[] {
  if (typeof json !== 'object' || json === null) return into
  const uid = '__entity' in json ? json.__entity : json
  if (isUid(uid)) into.push({ type: uid.type, id: uid.id })
  else for (const value of Object.values(json)) entitiesIn(value, into)
  return into
}

function isUid(value: unknown): value is TypeAndId {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('id' in value)) return false
  return typeof value.type === 'string' && typeof value.id === 'string'
}

function referencesIn({ parents, attrs, tags }: EntityJson): readonly TypeAndId[] {
  return entitiesIn([parents, attrs, tags])
}

function uidOf(uid: EntityUidJson): TypeAndId {
  return '__entity' in uid ? uid.__entity : uid
}

function keyOf({ type, id }: TypeAndId): string {
  return `${type}::${JSON.stringify(id)}`
}
