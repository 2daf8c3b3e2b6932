import type { QueryChanges } from './check.ts'

/**
 * A path with its query changed as Envoy changes it: nothing is decoded or encoded, a set replaces every parameter of
 * that key, removals come after, and the whole query is written anew: sorted by key, and `flag` as `flag=`.
 */
export function applyQuery(path: string, changes: QueryChanges): string {
  if (changes.set.length === 0 && changes.remove.length === 0) return path
  const start = path.indexOf('?')
  const parameters = start === -1 ? new Map<string, string[]>() : parseQuery(path.slice(start + 1))
  for (const [key, value] of changes.set) parameters.set(key, [value])
  for (const key of changes.remove) parameters.delete(key)
  const sorted = [...parameters].sort(([a], [b]) => (a < b ? -1 : 1))
  const query = sorted.flatMap(([key, values]) => values.map((value) => `${key}=${value}`)).join('&')
  const bare = start === -1 ? path : path.slice(0, start)
  return query === '' ? bare : `${bare}?${query}`
}

function parseQuery(query: string): Map<string, string[]> {
  const parameters = new Map<string, string[]>()
  if (query === '') return parameters
  for (const parameter of query.split('&')) {
    const equals = parameter.indexOf('=')
    const key = equals === -1 ? parameter : parameter.slice(0, equals)
    const value = equals === -1 ? '' : parameter.slice(equals + 1)
    const values = parameters.get(key)
    if (values === undefined) parameters.set(key, [value])
    else values.push(value)
  }
  return parameters
}
