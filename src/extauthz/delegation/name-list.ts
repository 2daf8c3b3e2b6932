/** Says whether a name is in a list of `abc`, `abc*`, `*abc` and `*`. */
export type NameList = (name: string) => boolean

/** Compares exactly: whoever ignores case gives both in lower case. */
export function compileNames(entries: readonly string[]): NameList {
  if (entries.includes('*')) return () => true
  const exact = new Set(entries.filter((entry) => !entry.includes('*')))
  const prefixes = entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1))
  const suffixes = entries.filter((entry) => entry.startsWith('*')).map((entry) => entry.slice(1))
  return (name) =>
    exact.has(name) ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    suffixes.some((suffix) => name.endsWith(suffix))
}
