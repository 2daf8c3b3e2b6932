import type { AuthorizationPolicy, Values } from '#src/mesh/authorization-policy.ts'

/** The policy as a resource that can be written to a file. `empty`: also lists without values. */
export function manifestOf(policy: AuthorizationPolicy, { empty = false }: { readonly empty?: boolean } = {}): object {
  const pairs = (fields: Readonly<Record<string, Values>>) =>
    Object.fromEntries(
      Object.entries(fields)
        .flatMap(([name, { values, notValues }]) => [
          [name, values] as const,
          [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`, notValues] as const,
        ])
        .filter(([, values]) => empty || values.length > 0),
    )
  const { meta, action, provider, dryRun, rules } = policy
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name: meta.name,
      namespace: meta.namespace,
      ...(dryRun ? { annotations: { 'istio.io/dry-run': 'true' } } : {}),
    },
    spec: {
      action,
      ...(provider === null ? {} : { provider: { name: provider } }),
      rules: rules.map(({ from, to, when }) => ({
        ...(from === null ? {} : { from: from.map((source) => ({ source: pairs({ ...source }) })) }),
        ...(to === null ? {} : { to: to.map((operation) => ({ operation: pairs({ ...operation }) })) }),
        ...(when.length === 0
          ? {}
          : { when: when.map(({ key, ...values }) => ({ key, ...pairs({ values: values }) })) }),
      })),
    },
  }
}
