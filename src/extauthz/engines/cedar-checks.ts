import type { Context, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import type { RequestAuthenticator } from '../../authn/authentication.ts'
import type { CedarEngine } from '../../mesh/authorizer.ts'
import { type Answer, allow, deny } from '../server/answer.ts'
import type { Checks } from '../server/judge.ts'
import { connectionContext, requestContext, type Wanted } from './cedar-context.ts'
import type { CedarEntities } from './cedar-entities.ts'
import type { CedarDecider } from './cedar-library.ts'
import { ACTION, ANONYMOUS, CONNECTION, PRINCIPAL, RESOURCE } from './cedar-names.ts'
import type { CedarSchema } from './cedar-schema.ts'
import type { EngineOptions } from './engine.ts'
import { decideRequest } from './seen-request.ts'
import { principalOf } from './token-principal.ts'

/** Parsed policies, and what goes with each question. */
export interface PreparedCedar {
  readonly decider: CedarDecider
  /** Policies that forbid, by name. */
  readonly forbids: ReadonlySet<string>
  readonly schema: CedarSchema | null
  readonly entities: CedarEntities
  /** The parts of the context that policies look at. */
  readonly wanted: Wanted
}

/** Segments of a path, each of which is an entity. */
const MOST_SEGMENTS = 64

export function createCedarChecks(
  prepared: PreparedCedar,
  principal: CedarEngine['principal'],
  authenticator: RequestAuthenticator | null,
  options: EngineOptions,
): Checks {
  const { logger, now = Date.now } = options
  const { decider, forbids, schema, entities, wanted } = prepared
  const decide = (who: string, action: string, resources: readonly [string, ...string[]], context: Context): Answer => {
    const principalUid: TypeAndId = { type: PRINCIPAL, id: who }
    const actionUid: TypeAndId = { type: ACTION, id: action }
    const answer = decider.isAuthorized({
      principal: principalUid,
      action: actionUid,
      resource: { type: RESOURCE, id: resources[0] },
      context: schema === null ? context : schema.project(action, context),
      entities: entities.reachable(principalUid, actionUid, resources),
    })
    if (answer.type === 'failure') {
      logger.warn('the request does not fit the schema, or cannot be written for Cedar, and is refused', { action })
      logger.debug('refused', { reason: answer.errors[0]?.message })
      return deny()
    }
    const { decision, diagnostics } = answer.response
    const failed = diagnostics.errors.map(({ policyId }) => policyId)
    if (failed.length > 0) logger.warn('policies failed on a request', { policies: failed })
    // Cedar leaves out a policy that fails. One that would have forbidden must not be missed.
    const missed = failed.some((name) => forbids.has(name))
    logger.debug('decided', { decision: missed ? 'deny' : decision, policies: diagnostics.reason })
    return decision === 'allow' && !missed ? allow() : deny()
  }
  return {
    check(request) {
      return decideRequest(request, authenticator, options, (seen) => {
        const resources = pathsAbove(seen.path)
        if (resources === null) return deny({ status: 400 })
        const named =
          principal === 'source' ? request.source.principal : (principalOf(seen.claims ?? {}).principal ?? '')
        return decide(named || ANONYMOUS, request.method, resources, requestContext(seen, now(), wanted))
      })
    },
    checkConnection(connection) {
      const who = principal === 'source' ? connection.source.principal : ''
      const resource = `${CONNECTION}:${connection.destination.port}`
      return decide(who || ANONYMOUS, CONNECTION, [resource], connectionContext(connection, now(), wanted))
    },
  }
}

/** `/a/b/` is in `/a/b`, which is in `/a`, which is in `/`; null for a path of too many segments. */
export function pathsAbove(target: string): readonly [string, ...string[]] | null {
  const end = target.search(/[?#]/)
  const path = end === -1 ? target : target.slice(0, end)
  const above: string[] = []
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    above.push(path.slice(0, at))
    if (above.length > MOST_SEGMENTS) return null
  }
  return path === '/' ? [path] : [path, ...above, '/']
}
