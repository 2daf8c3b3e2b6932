import type { Logger } from '../../../observe/log.ts'
import type { EngineLoading } from '../engine.ts'
import { createOpaChecks } from '../opa-envoy/checks.ts'
import type { Query } from './builtins/builtin.ts'
import { loadPolicy, type PolicyOptions } from './load.ts'

/** Loads a policy in Rego that was written for OPA's plug-in for Envoy. It is evaluated here, without a server. */
export async function loadRego(path: string, query: string, options: PolicyOptions): Promise<EngineLoading> {
  const loading = await loadPolicy(path, query, options)
  if (loading.kind === 'failed') return loading
  const { machine } = loading
  const evaluate = (input: string) => machine.evaluate(input, createQuery(options.logger))
  return { kind: 'loaded', checks: createOpaChecks(evaluate, options.logger) }
}

/** Of one evaluation, which begins now. */
function createQuery(logger: Logger): Query {
  return {
    now: BigInt(Date.now()) * 1_000_000n,
    drawn: new Map(),
    print: (text) => logger.info('the policy prints', { text }),
  }
}
