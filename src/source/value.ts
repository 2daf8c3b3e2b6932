import type { Json, Path } from './document.ts'

/** The value that a path leads to, or undefined where it leads nowhere. */
export function valueAt(value: Json, path: Path): Json | undefined {
  let at: Json | undefined = value
  for (const step of path) {
    if (at === null || typeof at !== 'object') return undefined
    if (Array.isArray(at)) at = at[Number(step)] as Json | undefined
    else at = Object.hasOwn(at, step) ? (at as { readonly [key: string]: Json })[step] : undefined
    if (at === undefined) return undefined
  }
  return at
}
