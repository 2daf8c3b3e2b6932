import { foldHeaderName } from '../../match/header-name.ts'

/** Says whether a lower-case header name is in the list. */
export type HeaderList = (name: string) => boolean

/** From entries `abc`, `abc*` and `*abc`, without regard to case. A bare `*` is none of these and matches nothing. */
export function compileHeaderList(entries: readonly string[]): HeaderList {
  const exact = new Set<string>()
  const prefixes: string[] = []
  const suffixes: string[] = []
  for (const entry of entries.map((entry) => entry.toLowerCase())) {
    if (entry === '*') continue
    if (entry.endsWith('*')) prefixes.push(entry.slice(0, -1))
    else if (entry.startsWith('*')) suffixes.push(entry.slice(1))
    else exact.add(entry)
  }
  return (name) =>
    exact.has(name) ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    suffixes.some((suffix) => name.endsWith(suffix))
}

/** As `compileHeaderList`, where `-`, `_` and `.` are one: a header is in it however an application may read its name. */
export function compileFoldedHeaderList(entries: readonly string[]): HeaderList {
  const list = compileHeaderList(entries.map(foldHeaderName))
  return (name) => list(foldHeaderName(name))
}
