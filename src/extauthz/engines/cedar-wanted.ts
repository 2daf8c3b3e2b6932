import type { Wanted } from './cedar-context.ts'

/** The parts of `context` that policies (as Cedar's JSON) look at: the rest need not be made for each request. */
export function contextPartsOf(policies: unknown): Wanted {
  const names = new Set<string>()
  return look(policies, names) ? (name) => names.has(name) : () => true
}

/** False where the whole of it is looked at. */
function look(json: unknown, names: Set<string>): boolean {
  if (typeof json !== 'object' || json === null) return true
  if (isContext(json)) return false
  for (const [key, value] of Object.entries(json)) {
    const name = key === '.' || key === 'has' ? partOf(value) : null
    if (name !== null) names.add(name)
    else if (!look(value, names)) return false
  }
  return true
}

/** Of `context.headers` and `context has headers.x` the name `headers`. */
function partOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('left' in value) || !('attr' in value)) return null
  if (!isContext(value.left)) return null
  const attr = Array.isArray(value.attr) ? value.attr[0] : value.attr
  return typeof attr === 'string' ? attr : null
}

function isContext(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'Var' in json && json.Var === 'context'
}
