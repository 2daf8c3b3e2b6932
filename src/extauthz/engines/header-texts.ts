import type { HeaderMap } from '../../match/header-map.ts'

/** Text by name; repeated lines are joined with a comma. */
export function textsOf(headers: HeaderMap): Map<string, string> {
  const texts = new Map<string, string>()
  for (const [name, bytes] of headers) {
    const value = Buffer.from(bytes, 'latin1').toString('utf8')
    const before = texts.get(name)
    texts.set(name, before === undefined ? value : `${before},${value}`)
  }
  return texts
}
