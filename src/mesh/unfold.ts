import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { Json, Path, SourceDocument } from '../source/document.ts'
import { meshConfigFields } from './decode/mesh-config.ts'
import type { UsedKind } from './kinds.ts'
import { apiVersionOf, kindOf } from './kinds.ts'

/** One resource of a document that is to be decoded. */
export interface Unfolded {
  readonly kind: UsedKind | 'MeshConfig'
  readonly document: SourceDocument
  readonly path: Path
  readonly value: { readonly [key: string]: Json }
  /** Its kind was guessed: its fields are checked, but it is not part of the mesh. */
  readonly guessed: boolean
}

const HEAD = 'each document begins like `apiVersion: security.istio.io/v1`, `kind: AuthorizationPolicy`'

/** The resources of a document, with lists taken apart and what is not used left out. */
export function unfold(document: SourceDocument, diagnostics: Diagnostic[]): Unfolded[] {
  const unfolded: Unfolded[] = []
  visit(document.value, [])
  return unfolded

  function visit(value: Json, path: Path): void {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      report('SP101', path, 'the document is not a mapping with `apiVersion` and `kind`', HEAD)
      return
    }
    const object = value as { readonly [key: string]: Json }
    const apiVersion = own(object, 'apiVersion')
    const kind = own(object, 'kind')
    if (
      apiVersion === undefined &&
      kind === undefined &&
      Object.keys(object).some((key) => meshConfigFields.has(key))
    ) {
      unfolded.push({ kind: 'MeshConfig', document, path, value: object, guessed: false })
      return
    }
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
      incomplete(path, apiVersion, kind)
      return
    }
    const known = kindOf(apiVersion, kind)
    switch (known.kind) {
      case 'used':
        unfolded.push({ kind: known.name, document, path, value: object, guessed: false })
        return
      case 'list': {
        const items = own(object, 'items') ?? null
        if (Array.isArray(items)) {
          for (const [index, item] of (items as readonly Json[]).entries()) visit(item, [...path, 'items', index])
        } else if (items !== null)
          report('SP104', [...path, 'items'], 'expected a list for `items`', 'write each item behind `- `')
        return
      }
      case 'skipped':
        report('SP108', path, `${kind} (${apiVersion}) is not used and was skipped`)
        return
      case 'misspeltKind':
      case 'wrongVersion': {
        const [code, key] =
          known.kind === 'misspeltKind' ? (['SP102', 'kind'] as const) : (['SP107', 'apiVersion'] as const)
        report(code, [...path, key], known.message, known.help)
        if (known.meant !== null) unfolded.push({ kind: known.meant, document, path, value: object, guessed: true })
        return
      }
      default:
        known satisfies never
    }
  }

  function incomplete(path: Path, apiVersion: Json | undefined, kind: Json | undefined): void {
    for (const [key, value] of [
      ['apiVersion', apiVersion],
      ['kind', kind],
    ] as const) {
      if (typeof value === 'string') continue
      if (value !== undefined && value !== null) {
        report('SP104', [...path, key], `expected text for \`${key}\``, HEAD)
        continue
      }
      const proposed = key === 'apiVersion' && typeof kind === 'string' ? apiVersionOf(kind) : null
      report('SP101', path, `\`${key}\` is missing`, proposed === null ? HEAD : `write \`apiVersion: ${proposed}\``)
    }
  }

  function report(
    code: 'SP101' | 'SP102' | 'SP104' | 'SP107' | 'SP108',
    path: Path,
    message: string,
    help?: string,
  ): void {
    diagnostics.push(diagnostic(code, { document, path }, message, help === undefined ? {} : { help }))
  }
}

function own(object: { readonly [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
