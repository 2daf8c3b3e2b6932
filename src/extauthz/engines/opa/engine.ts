import { readFile } from 'node:fs/promises'
import type { AuthorizerEngine } from '../../../mesh/authorizer.ts'
import type { Logger } from '../../../observe/log.ts'
import type { EngineLoading } from '../engine.ts'
import { createOpaChecks } from '../opa-envoy/checks.ts'
import { parseQuery } from '../opa-envoy/query.ts'
import { parseOpaUrl } from './address.ts'
import { createOpaClient } from './client.ts'

type OpaEngine = Extract<AuthorizerEngine, { readonly kind: 'opa' }>

/**
 * Asks a server of OPA what its policy, written for OPA's plug-in for Envoy, says of each request. A server that is away
 * is no failure to load: until it is there, every answer is an error.
 */
export async function loadOpa({ url, query, ca, token }: OpaEngine, logger: Logger): Promise<EngineLoading> {
  const address = parseOpaUrl(url)
  if (address === null) {
    return failed(
      `\`${url}\` is no address of OPA: write http://127.0.0.1:8181, https://HOST or unix:/path/of/the.sock`,
    )
  }
  const document = parseQuery(query)
  if (document === null) return failed(`the query \`${query}\` names no document: write data.envoy.authz.allow`)
  try {
    const client = createOpaClient(address, {
      ca: ca === null ? null : await readFile(ca, 'utf8'),
      token: token === null ? null : (await readFile(token, 'utf8')).trim(),
    })
    const problem = await client.health()
    if (problem !== null) logger.warn('the server of OPA is not healthy', { url, problem })
    const evaluate = (input: string, signal: AbortSignal) => client.evaluate(document, input, signal)
    return { kind: 'loaded', checks: createOpaChecks(evaluate, logger) }
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
}

function failed(message: string): EngineLoading {
  return { kind: 'failed', message }
}
