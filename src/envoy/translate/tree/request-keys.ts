import { parseStringMatch } from '../../../match/string-match.ts'
import { exactKey, type KeysOfMatch, prefixKey } from './key.ts'

/** The literal start of a path pattern. */
export const pathKeys: KeysOfMatch = (match) => {
  if (match.kind === 'path') return textKeys(match.written)
  if (match.kind !== 'pathTemplate') return null
  const start = match.template.text.slice(0, match.template.text.indexOf('{'))
  return start.length > 1 ? [prefixKey(start)] : null
}

/** Hosts are compared without regard to ASCII case: keys are lower-case. */
export const hostKeys: KeysOfMatch = (match) =>
  match.kind === 'host' ? textKeys(match.written.replace(/[A-Z]/g, (letter) => letter.toLowerCase())) : null

function textKeys(written: string) {
  const pattern = parseStringMatch(written)
  switch (pattern.kind) {
    case 'exact':
      return pattern.value === '' ? null : [exactKey(pattern.value)]
    case 'prefix':
      return [prefixKey(pattern.value)]
    case 'suffix':
    case 'nonEmpty':
      return null
    default:
      return pattern satisfies never
  }
}
