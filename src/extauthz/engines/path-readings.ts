import { normalizePath, type PathMode } from '../../match/request-path.ts'

/**
 * The paths that a request's target may turn out to be, all of which a decision has to let pass: as the proxy gave it,
 * and, where that is something else, as it is after normalization. A proxy that normalizes has done so before it asked,
 * and then there is one. Null: no path at all, or one that Envoy refuses to normalize.
 *
 * Normalization is not repeated until nothing changes: Envoy does it once, and what its one pass leaves (`/a/..;/b`) is
 * decided as it stands and as one more pass reads it.
 */
export function pathReadings(target: string, mode: PathMode): readonly string[] | null {
  const normalized = normalizePath(target, mode)
  if (normalized.kind === 'reject') return null
  return normalized.path === target ? [target] : [target, normalized.path]
}
