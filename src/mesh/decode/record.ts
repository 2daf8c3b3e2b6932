import type { Json, Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { Cursor } from './cursor.ts'
import type { Decoder } from './decoder.ts'
import { asObject, quoted } from './decoder.ts'
import type { Shape } from './shape.ts'
import { fieldPlaces, LEAF } from './shape.ts'

/** One field of a record: how it is read, and what stands for it when it is absent. */
export interface Field<T> {
  readonly decoder: Decoder<T>
  /** Undefined: the field is required. */
  readonly absent: { readonly value: T } | undefined
}

export function required<T>(decoder: Decoder<T>): Field<T> {
  return { decoder, absent: undefined }
}

export function optional<T, const U>(decoder: Decoder<T>, value: U): Field<T | U> {
  return { decoder: decoder as Decoder<T | U>, absent: { value } }
}

type Fields = Readonly<Record<string, Field<unknown>>>
type Decoded<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

export interface RecordOptions {
  /** Real fields that the product does not read. */
  readonly ignored?: readonly string[]
  /** Kubernetes' own kinds: fields that are not read here are not checked. */
  readonly open?: boolean
  /** Protobuf's JSON also takes the names of the .proto file (`trust_domain`). */
  readonly protoNames?: boolean
  /** A better help than the list of fields for an unknown one that is like no other. */
  readonly hint?: (name: string, value: Json) => string | null
}

/**
 * A mapping with known fields. A null is an absent field, as in Protobuf's JSON and for Kubernetes. A field that cannot be
 * read has been reported and counts as absent, so that one run finds all problems.
 */
export function record<const F extends Fields>(fields: F, options: RecordOptions = {}): Decoder<Decoded<F>> {
  const shapes = new Map<string, Shape>()
  for (const [name, field] of Object.entries(fields)) shapes.set(name, field.decoder.shape)
  for (const name of options.ignored ?? []) shapes.set(name, LEAF)
  const names = Object.keys(fields)
  return {
    shape: { kind: 'record', fields: shapes },
    decode(at) {
      const written = asObject(at, adviceOn(shapes))
      if (written === undefined) return undefined
      const object = options.protoNames === true ? withJsonNames(written, shapes) : written
      if (options.open !== true) {
        for (const [name, value] of Object.entries(written)) {
          if (!shapes.has(name) && (options.protoNames !== true || !shapes.has(jsonName(name)))) {
            unknownField(at.child(name, value), name, shapes, options)
          }
        }
      }
      const decoded: Record<string, unknown> = {}
      let complete = true
      for (const name of names) {
        const field = fields[name] as Field<unknown>
        const value = Object.hasOwn(object, name) ? (object[name] as Json) : null
        const result = value === null ? undefined : field.decoder.decode(at.child(name, value))
        if (result !== undefined) decoded[name] = result
        else if (field.absent !== undefined) decoded[name] = field.absent.value
        else {
          if (value === null) at.report('SP105', `\`${name}\` is required`, { help: `write \`${name}\`` })
          complete = false
        }
      }
      return complete ? (decoded as Decoded<F>) : undefined
    },
  }
}

/** What to write in place of something that is no mapping. */
function adviceOn(fields: ReadonlyMap<string, Shape>): string | undefined {
  return fields.size <= MOST_LISTED ? `its fields are ${quoted(fields.keys())}` : undefined
}

function unknownField(at: Cursor, name: string, fields: ReadonlyMap<string, Shape>, options: RecordOptions): void {
  const near = suggest(name, fields.keys())
  const place = printPath(at.path.slice(0, -1))
  at.report('SP103', `the field \`${name}\` is unknown${place === '' ? '' : ` in \`${place}\``}`, {
    help: near === null ? adviceFor(at, name, fields, options) : `write \`${near}\``,
  })
}

function adviceFor(at: Cursor, name: string, fields: ReadonlyMap<string, Shape>, options: RecordOptions): string {
  const hint = options.hint?.(name, at.value) ?? null
  if (hint !== null) return hint
  const places = fieldPlaces(at.decoding.shape)
  const known = places.has(name) ? name : suggest(name, places.keys())
  const place = known === null ? undefined : places.get(known)
  if (known !== null && place !== undefined) {
    return place === '' ? `\`${known}\` belongs at the top of the document` : `\`${known}\` belongs in \`${place}\``
  }
  return fields.size <= MOST_LISTED ? `the fields here are ${quoted(fields.keys())}` : 'remove it, or look up its name'
}

const MOST_LISTED = 16

function jsonName(name: string): string {
  return name.replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase())
}

function withJsonNames(
  object: { readonly [key: string]: Json },
  fields: ReadonlyMap<string, Shape>,
): { readonly [key: string]: Json } {
  const renamed = Object.entries(object).filter(([name]) => !fields.has(name) && fields.has(jsonName(name)))
  if (renamed.length === 0) return object
  return { ...object, ...Object.fromEntries(renamed.map(([name, value]) => [jsonName(name), value])) }
}

/** `spec.rules[0].to`; what is left of a path inside a list of resources starts with `items`. */
function printPath(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')
}
