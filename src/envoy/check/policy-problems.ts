import { peerRegex } from '../../match/spiffe.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Condition, Match, RuleIr } from '../../policy/ir.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import { authorizationOf } from '../translate/authorization.ts'
import { rulesOf } from '../translate/rbac-filter.ts'

/** What Envoy would refuse in the policies of a workload, where the user wrote it. Each is reported once. */
export function policyProblems(mesh: Mesh, workload: Workload, service: TargetService | null): readonly Diagnostic[] {
  const { custom, local } = authorizationOf(mesh, workload, 'http', service)
  const problems = new Map<string, Diagnostic>()
  for (const stage of [...custom, ...local]) {
    if (stage.kind !== 'rbac') continue
    for (const rule of rulesOf(stage)) {
      for (const condition of [...rule.permissions, ...rule.principals].flat()) {
        for (const problem of conditionProblems(rule, condition)) problems.set(JSON.stringify(problem), problem)
      }
    }
  }
  return [...problems.values()]
}

function conditionProblems(rule: RuleIr, condition: Condition): Diagnostic[] {
  const isWhen = condition.at.includes('when')
  return (['any', 'none'] as const).flatMap((side) =>
    condition[side].flatMap((match) => {
      const problem = problemOf(match)
      if (problem === null) return []
      const place = isWhen ? (problem.at === 'key' ? 'key' : listOfWhen(side)) : fieldOf(condition.field, side)
      const { document, path } = rule.policy.origin
      const at = { document, path: [...path, ...condition.at, place], at: 'value' as const }
      const { namespace, name } = rule.policy.meta
      const message = `Envoy refuses the policy ${namespace}/${name}: ${problem.message}`
      return [diagnostic(problem.code, at, message, { help: problem.help })]
    }),
  )
}

function listOfWhen(side: 'any' | 'none'): string {
  return side === 'any' ? 'values' : 'notValues'
}

function fieldOf(field: string, side: 'any' | 'none'): string {
  return side === 'any' ? field : `not${field.charAt(0).toUpperCase()}${field.slice(1)}`
}

interface Problem {
  readonly code: 'SP601' | 'SP602'
  /** Of a `when` entry. */
  readonly at: 'key' | 'values'
  readonly message: string
  readonly help: string
}

/** Characters of a template after Istio has taken the braces away. */
const LONGEST_TEMPLATE = 256

/** Bytes of a regular expression: Istio allows a program of 32,768 instructions, about one for each byte. */
const LONGEST_REGEX = 32_740

function problemOf(match: Match): Problem | null {
  switch (match.kind) {
    case 'header':
      return headerProblem(match.name)
    case 'claim':
      return match.path.includes('')
        ? nameProblem('the name of the claim is empty', 'request.auth.claims[group]')
        : null
    case 'metadata':
      return match.key === ''
        ? nameProblem('the key of the metadata is empty', 'experimental.envoy.filters.network.mysql_proxy[db.table]')
        : null
    case 'pathTemplate': {
      const { length } = match.template.text.replaceAll('{*}', '*').replaceAll('{**}', '**')
      if (length <= LONGEST_TEMPLATE) return null
      const message = `a path template has ${length} characters, and ${LONGEST_TEMPLATE} are allowed`
      return { code: 'SP602', at: 'values', message, help: 'shorten it, or use a prefix: `/path/*`' }
    }
    case 'peer': {
      // Exact values and prefixes are not regular expressions to Envoy.
      if (match.pattern.kind === 'principal' && match.pattern.match.kind !== 'suffix') return null
      const bytes = new TextEncoder().encode(peerRegex(match.pattern)).length
      if (bytes <= LONGEST_REGEX) return null
      const message = `a value makes a regular expression of ${bytes} bytes, and ${LONGEST_REGEX} are allowed`
      return { code: 'SP602', at: 'values', message, help: 'shorten it: no SPIFFE id is longer than 2048 bytes' }
    }
    case 'requestPrincipal':
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
    case 'port':
    case 'sni':
    case 'host':
    case 'method':
    case 'path':
      return null
    default:
      return match satisfies never
  }
}

function headerProblem(name: string): Problem | null {
  if (name === '') return nameProblem('the name of the header is empty', 'request.headers[x-user]')
  if (!hasControl(name)) return null
  return nameProblem('the name of the header has a NUL or the end of a line in it', 'request.headers[x-user]')
}

function nameProblem(message: string, example: string): Problem {
  return { code: 'SP601', at: 'key', message, help: `write a name, as in \`${example}\`` }
}

/** What Envoy accepts in no name and no value of a header. */
export function hasControl(text: string): boolean {
  return text.includes('\0') || text.includes('\r') || text.includes('\n')
}
