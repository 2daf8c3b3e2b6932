import type { CedarValueJson, Context, Schema, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Cedar } from './cedar-library.ts'
import { ACTIONLESS, PRINCIPAL, RESOURCE } from './cedar-names.ts'
import { problemIn } from './cedar-policies.ts'
import type { EngineLoading } from './engine.ts'
import { failedWith } from './policy-files.ts'
import { readTextFile } from './text-file.ts'

const MOST_BYTES = 4 * 1024 * 1024

/** A schema, and what it says of the questions that are asked here. */
export interface CedarSchema {
  readonly schema: Schema
  /** Whether a resource may be in a resource, as a path is in the paths above it. */
  readonly nested: boolean
  /** Of a context, what the schema has for this action: it would refuse the rest. */
  project(action: string, context: Context): Context
}

export type ReadCedarSchema =
  | { readonly kind: 'read'; readonly schema: CedarSchema }
  | Extract<EngineLoading, { readonly kind: 'failed' }>

/** A `.json` file, or one in Cedar's own form. */
export async function readSchema(path: string, cedar: Cedar): Promise<ReadCedarSchema> {
  const read = await readTextFile(path, MOST_BYTES)
  if (read.kind === 'failed') return read
  let schema: Schema = read.text
  if (path.endsWith('.json')) {
    try {
      schema = JSON.parse(read.text) as SchemaJson<string>
    } catch {
      return { kind: 'failed', message: `${path}: not valid JSON` }
    }
  }
  const checked = cedar.checkParseSchema(schema)
  if (checked.type === 'failure') return failedWith(checked.errors.map((error) => problemIn(path, read.text, error)))
  const json = cedar.schemaToJson(schema)
  if (json.type === 'failure') return failedWith(json.errors.map((error) => problemIn(path, read.text, error)))
  const { entityTypes = {}, actions = {}, commonTypes = {} } = json.json[''] ?? {}
  const absent = [PRINCIPAL, RESOURCE].filter((name) => !Object.hasOwn(entityTypes, name))
  if (absent.length > 0) {
    const help = `write \`entity ${absent[0]};\`, outside of any namespace`
    const problems = absent.map((name) =>
      diagnostic('SP502', { file: path }, `the schema has no entity type \`${name}\``, { help }),
    )
    return failedWith(problems)
  }
  const resource = entityTypes[RESOURCE] as { readonly memberOfTypes?: readonly string[] }
  const types = commonTypes as Readonly<Record<string, TypeJson>>
  return {
    kind: 'read',
    schema: {
      schema,
      nested: resource.memberOfTypes?.includes(RESOURCE) ?? false,
      project(action, context) {
        const known = Object.hasOwn(actions, action) ? actions[action] : undefined
        const type = known?.appliesTo?.context as TypeJson | undefined
        if (type === undefined) return ACTIONLESS
        return project(context, type, types, 0) as Context
      },
    },
  }
}

interface TypeJson {
  readonly type: string
  /** Of a reference. */
  readonly name?: string
  readonly attributes?: Readonly<Record<string, TypeJson>>
  readonly element?: TypeJson
}

const MOST_DEPTH = 64

function project(
  value: CedarValueJson,
  type: TypeJson,
  types: Readonly<Record<string, TypeJson>>,
  depth: number,
): CedarValueJson {
  const name = type.type === 'EntityOrCommon' ? (type.name ?? '') : type.type
  const { attributes, element } = type
  if (depth > MOST_DEPTH) return value
  if (Object.hasOwn(types, name)) return project(value, types[name] as TypeJson, types, depth + 1)
  if (name === 'Set' && element !== undefined && Array.isArray(value)) {
    return value.map((one) => project(one, element, types, depth + 1))
  }
  if (name !== 'Record' || attributes === undefined || !isRecord(value)) return value
  const written: { readonly [key: string]: CedarValueJson } = value
  return Object.fromEntries(
    Object.entries(attributes)
      .filter(([key]) => Object.hasOwn(written, key))
      .map(([key, of]) => [key, project(written[key] as CedarValueJson, of, types, depth + 1)]),
  )
}

function isRecord(value: CedarValueJson): value is { [key: string]: CedarValueJson } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('__extn' in value)
}
