import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'

/** Istio asks one provider a workload; with several it refuses what any of their rules matches. */
export const severalProviders: Analyzer = ({ targets }) => {
  const found = new Map<AuthorizationPolicy, string>()
  for (const { policies } of targets) {
    const custom = policies.filter((policy) => policy.action === 'CUSTOM')
    const names = [...new Set(custom.map((policy) => policy.provider ?? ''))].sort()
    if (names.length > 1) for (const policy of custom) found.set(policy, names.map((name) => `\`${name}\``).join(', '))
  }
  return [...found].map(([policy, names]) =>
    diagnostic(
      'SP402',
      { document: policy.origin.document, path: [...policy.origin.path, 'spec', 'provider', 'name'] },
      `CUSTOM policies of one workload name several providers (${names}): Istio asks none of them and refuses every request that their rules match`,
      { help: 'use one provider a workload, and let it decide by path or host' },
    ),
  )
}
