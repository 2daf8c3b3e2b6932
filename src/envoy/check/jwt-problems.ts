import { parseJwks } from '../../authn/jwt/jwk.ts'
import { jwtRulesFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { JwtRule } from '../../mesh/request-authentication.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import { hasControl } from './policy-problems.ts'

/** What Envoy would refuse in the JWT rules of a workload, and keys that it cannot get. */
export function jwtProblems(
  mesh: Mesh,
  workload: Workload,
  service: TargetService | null,
  given: ReadonlySet<string>,
): readonly Diagnostic[] {
  const attached = new Set(jwtRulesFor(mesh, workload, service))
  return mesh.requestAuthentications.flatMap(({ jwtRules, meta, origin }) =>
    jwtRules.flatMap((rule, i) => {
      if (!attached.has(rule)) return []
      const name = `${meta.namespace}/${meta.name}`
      return ruleProblems(rule, given).map(({ code, path, message, help }) => {
        const at = { document: origin.document, path: [...origin.path, 'spec', 'jwtRules', i, ...path] }
        return diagnostic(code, at, `Envoy ${message(name)}`, { help })
      })
    }),
  )
}

interface Problem {
  readonly code: 'SP603' | 'SP604'
  /** From the rule. */
  readonly path: Path
  readonly message: (name: string) => string
  readonly help: string
}

function ruleProblems(rule: JwtRule, given: ReadonlySet<string>): Problem[] {
  const refused = (path: Path, what: string, help: string): Problem => ({
    ...{ code: 'SP603', path, help },
    message: (name) => `refuses the RequestAuthentication ${name}: ${what}`,
  })
  const problems: Problem[] = []
  const { keys } = rule
  if (keys.kind === 'inline') {
    const parsed = parseJwks(keys.jwks)
    if (parsed.kind === 'unusable') {
      problems.push(refused(['jwks'], parsed.reason, 'give a key set with a key that can be used'))
    }
  }
  if (keys.kind === 'uri' && !URL.canParse(keys.uri)) {
    problems.push(refused(['jwksUri'], 'the `jwksUri` is no URI', 'write `https://HOST/PATH`'))
  }
  if (keys.kind === 'discovery' && !given.has(keys.issuer)) {
    problems.push({
      code: 'SP604',
      path: ['issuer'],
      message: (name) =>
        `does not look for the keys of an issuer: tokens of \`${keys.issuer}\` (RequestAuthentication ${name}) are refused`,
      help: `write the \`jwksUri\`, or give the keys with --jwks ${keys.issuer}=FILE`,
    })
  }
  for (const [i, { name, prefix }] of rule.fromHeaders.entries()) {
    if (name === '' || hasControl(name)) {
      problems.push(refused(['fromHeaders', i, 'name'], 'a header has no usable name', 'write `x-token`'))
    }
    if (hasControl(prefix)) {
      const what = 'a prefix has a NUL or the end of a line in it'
      problems.push(refused(['fromHeaders', i, 'prefix'], what, 'write `Bearer `'))
    }
  }
  for (const [i, { header, claim }] of rule.outputClaimToHeaders.entries()) {
    if (header !== '' && claim !== '' && !hasControl(header)) continue
    const what = 'an output header has no usable name, or no claim'
    problems.push(refused(['outputClaimToHeaders', i], what, 'write `{ header: x-group, claim: group }`'))
  }
  return problems
}
