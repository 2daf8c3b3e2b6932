import type { AllowVerdict } from './verdict.ts'

/**
 * The verdict with more removals: a proxy compares names of parameters as they are encoded, so that a client that writes
 * `%61dmin` would keep its `admin` when that is set or removed.
 */
export function withEverySpelling(verdict: AllowVerdict, path: string): AllowVerdict {
  if (verdict.setQuery.length === 0 && verdict.removeQuery.length === 0) return verdict
  const start = path.indexOf('?')
  if (start === -1) return verdict
  const set = new Set(verdict.setQuery.map(([name]) => name))
  const changed = new Set([...set, ...verdict.removeQuery].map(decode))
  const removals = new Set(verdict.removeQuery)
  for (const parameter of (path.slice(start + 1).split('#', 1)[0] as string).split('&')) {
    const equals = parameter.indexOf('=')
    const name = equals === -1 ? parameter : parameter.slice(0, equals)
    if (!set.has(name) && changed.has(decode(name))) removals.add(name)
  }
  return { ...verdict, removeQuery: [...removals] }
}

/** As forms are read (WHATWG URL, 5.1): `+` is a space, and what is no encoding stands for itself. */
function decode(name: string): string {
  const [parsed = ''] = new URLSearchParams(`&${name}=`).keys()
  return parsed
}
