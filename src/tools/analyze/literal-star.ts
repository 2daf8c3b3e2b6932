import { isPathTemplate } from '../../match/path-template.ts'
import { maskHeader } from '../../observe/mask.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'
import { rulesOfMesh, valuesOf } from './policy-values.ts'

/** The attributes whose values are exact, prefix, suffix or presence, with one `*` at an end. */
const matched = /^(?:hosts|methods|paths|source\.principal|request\.headers|request\.auth|connection\.sni)/

/** A `*` that is neither the first nor the last character is an ordinary character to Istio, as is the second of two. */
export const literalStar: Analyzer = ({ mesh }) =>
  rulesOfMesh(mesh).flatMap((policy) => {
    const { document } = policy.origin
    return [...valuesOf(policy)].flatMap(({ attribute, values, path }) => {
      if (!matched.test(attribute)) return []
      const header = /^request\.headers\[(.*)\]$/.exec(attribute)?.[1]
      return values.flatMap((value, index) => {
        // What `*/*` means for a token is told elsewhere.
        if (!isLiteral(value) || (attribute === 'request.auth.principal' && value === '*/*')) return []
        const shown = header === undefined ? value : maskHeader(header.toLowerCase(), value)
        const message = `a \`*\` of \`${shown}\` stands for itself: it is a wildcard only as the first or the last character`
        return [
          diagnostic('SP404', { document, path: [...path, index] }, message, { help: proposal(attribute, value) }),
        ]
      })
    })
  })

function isLiteral(value: string): boolean {
  if (isPathTemplate(value)) return false
  const first = value.indexOf('*')
  if (first === -1) return false
  return first !== value.lastIndexOf('*') || (first !== 0 && first !== value.length - 1)
}

function proposal(attribute: string, value: string): string {
  const segments = value.split('/')
  const whole = segments.every((segment) => !segment.includes('*') || segment === '*' || segment === '**')
  if (attribute === 'paths' && whole) {
    const template = segments.map((segment) => (segment.includes('*') ? `{${segment}}` : segment)).join('/')
    return `for one segment (\`{*}\`) or any rest (\`{**}\`) write \`${template}\``
  }
  return 'list the values, or keep one `*` at the beginning or at the end'
}
