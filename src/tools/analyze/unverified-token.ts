import type { AuthorizationPolicy, Rule } from '../../mesh/authorization-policy.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import type { Analyzer } from './analyzer.ts'

/** Without RequestAuthentication there is no principal and no claim: a positive condition on them never matches. */
export const unverifiedToken: Analyzer = ({ targets }) => {
  const verified = new Set<AuthorizationPolicy>()
  const unverified = new Set<AuthorizationPolicy>()
  for (const { policies, triggers, jwtRules } of targets) {
    for (const policy of [...policies, ...triggers]) (jwtRules.length > 0 ? verified : unverified).add(policy)
  }
  return [...unverified]
    .filter((policy) => !verified.has(policy))
    .flatMap((policy) =>
      policy.rules.flatMap((rule, index) =>
        tokenConditions(rule, ['spec', 'rules', index]).map(({ field, path }) =>
          diagnostic(
            'SP403',
            { document: policy.origin.document, path: [...policy.origin.path, ...path] },
            `\`${field}\` never matches here: no RequestAuthentication applies to the workload, so no token is verified`,
            { help: 'add a RequestAuthentication with the issuer whose tokens are meant, with the same selector' },
          ),
        ),
      ),
    )
}

function tokenConditions(rule: Rule, at: Path): { readonly field: string; readonly path: Path }[] {
  const from = (rule.from ?? []).flatMap((source, i) =>
    source.requestPrincipals.values.length === 0
      ? []
      : [{ field: 'requestPrincipals', path: [...at, 'from', i, 'source', 'requestPrincipals'] }],
  )
  const when = rule.when.flatMap((condition, i) =>
    condition.key.startsWith('request.auth.') && condition.values.length > 0
      ? [{ field: condition.key, path: [...at, 'when', i, 'key'] }]
      : [],
  )
  return [...from, ...when]
}
