import { isPathTemplate } from '../../match/path-template.ts'
import type { AuthorizationPolicy, Values } from '../../mesh/authorization-policy.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import type { Analyzer } from './analyzer.ts'

/** A `*` that is neither the first nor the last character is an ordinary character to Istio, as is the second of two. */
export const literalStar: Analyzer = ({ mesh }) => mesh.authorizationPolicies.flatMap(inspect)

function inspect(policy: AuthorizationPolicy): Diagnostic[] {
  const found: Diagnostic[] = []
  const look = (field: string, values: Values, at: Path, key: (negated: boolean) => string) => {
    for (const negated of [false, true]) {
      for (const [i, value] of (negated ? values.notValues : values.values).entries()) {
        if (!isLiteral(value)) continue
        const path = [...policy.origin.path, ...at, key(negated), i]
        found.push(
          diagnostic(
            'SP404',
            { document: policy.origin.document, path },
            `a \`*\` of \`${value}\` stands for itself: it is a wildcard only as the first or the last character`,
            { help: proposal(field, value) },
          ),
        )
      }
    }
  }
  for (const [r, rule] of policy.rules.entries()) {
    const at = ['spec', 'rules', r]
    for (const [i, source] of (rule.from ?? []).entries()) {
      const inside = [...at, 'from', i, 'source']
      look('principals', source.principals, inside, twin('principals'))
    }
    for (const [i, operation] of (rule.to ?? []).entries()) {
      const inside = [...at, 'to', i, 'operation']
      for (const field of ['hosts', 'methods', 'paths'] as const) look(field, operation[field], inside, twin(field))
    }
    for (const [i, when] of rule.when.entries()) {
      if (!/^(request\.headers|request\.auth|connection\.sni|source\.principal)/.test(when.key)) continue
      look(when.key, when, [...at, 'when', i], (negated) => (negated ? 'notValues' : 'values'))
    }
  }
  return found
}

function twin(field: string) {
  return (negated: boolean) => (negated ? `not${field.charAt(0).toUpperCase()}${field.slice(1)}` : field)
}

function isLiteral(value: string): boolean {
  if (isPathTemplate(value)) return false
  const stars = value.split('*').length - 1
  return stars > 1 || (stars === 1 && !value.startsWith('*') && !value.endsWith('*'))
}

function proposal(field: string, value: string): string {
  const segments = value.split('/')
  if (field === 'paths' && segments.every((segment) => !segment.includes('*') || segment === '*' || segment === '**')) {
    const template = segments.map((segment) => (segment.includes('*') ? `{${segment}}` : segment)).join('/')
    return `for one segment (\`{*}\`) or any rest (\`{**}\`) write \`${template}\``
  }
  return 'list the values, or keep one `*` at the beginning or at the end'
}
