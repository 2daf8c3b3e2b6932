import type { IstioEngine } from '../../mesh/authorizer.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { serviceOfHost } from '../../mesh/registry.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type Answer, deny } from '../server/answer.ts'
import type { Checks } from '../server/judge.ts'
import type { AuthorizerConnection, AuthorizerRequest } from '../server/request.ts'
import type { Engine, EngineLoading, EngineOptions } from './engine.ts'
import { IstioTarget } from './istio-target.ts'
import { chooseWorkload, delegations, fullName } from './istio-workload.ts'
import { failedWith, PolicyFiles } from './policy-files.ts'
import { TokenKeys, type TokenRules } from './token-keys.ts'

/** AuthorizationPolicy and RequestAuthentication decide for whoever asks. */
export function createIstioEngine(engine: IstioEngine, options: EngineOptions): Engine {
  const files = new PolicyFiles(engine.paths, engine.namespace, options.logger)
  const keys = new TokenKeys(options)
  return {
    async load(): Promise<EngineLoading> {
      const read = await files.read()
      if (read.kind === 'failed') return read
      const { mesh } = read
      const chosen = chooseWorkload(mesh, engine)
      if (chosen.kind === 'none') return { kind: 'failed', message: chosen.message }
      const delegated = delegations(mesh, chosen)
      if (delegated.length > 0) return failedWith(delegated)
      const rules = mesh.requestAuthentications.flatMap(({ jwtRules }) => jwtRules)
      const tokens = keys.use(rules, mesh)
      const targets = new Targets(mesh, tokens, options)
      const workloads = chosen.kind === 'one' ? [chosen.workload] : mesh.workloads.values()
      for (const workload of workloads) targets.warnUnlessRestricted(workload)
      const one = chosen.kind === 'one' ? chosen.workload : null
      return {
        kind: 'loaded',
        checks: checksOf(targets, one, engine),
        close: () => tokens.release(),
      }
    },
    close: () => keys.close(),
  }
}

function checksOf(targets: Targets, one: Workload | null, engine: IstioEngine): Checks {
  const find = (asked: AuthorizerRequest | AuthorizerConnection): Workload | null => {
    if (one !== null || engine.workload.kind !== 'contextExtension') return one
    const name = asked.contextExtensions[engine.workload.key]
    return name === undefined ? null : targets.workload(fullName(name, engine))
  }
  const about = <A extends AuthorizerRequest | AuthorizerConnection>(
    asked: A,
    host: string | null,
    check: (target: IstioTarget) => Answer | Promise<Answer>,
  ) => {
    const workload = find(asked)
    return workload === null ? targets.unknown() : check(targets.of(workload, host))
  }
  return {
    check: (request) => about(request, request.host, (target) => target.check(request)),
    checkConnection: (connection) => about(connection, null, (target) => target.checkConnection(connection)),
  }
}

/** Made at the first request for each; as many as the files describe, at most. */
class Targets {
  readonly #mesh: Mesh
  readonly #tokens: TokenRules
  readonly #options: EngineOptions
  readonly #made = new Map<Workload, Map<string, IstioTarget>>()

  constructor(mesh: Mesh, tokens: TokenRules, options: EngineOptions) {
    this.#mesh = mesh
    this.#tokens = tokens
    this.#options = options
  }

  workload(id: string): Workload | null {
    return this.#mesh.workloads.get(id) ?? null
  }

  /** `host` matters at a waypoint, whose policies depend on the service that a request is for. */
  of(workload: Workload, host: string | null): IstioTarget {
    const service =
      workload.role.kind === 'waypoint' && host !== null ? serviceOfHost(this.#mesh, workload.namespace, host) : null
    return this.#of(workload, service)
  }

  unknown(): Answer {
    this.#options.logger.debug('refused', { reason: 'the request names no workload of the files' })
    return deny()
  }

  /** That nothing restricts a workload is legal, and seldom meant. A waypoint's policies are its services'. */
  warnUnlessRestricted(workload: Workload): void {
    if (workload.role.kind === 'waypoint' || this.#of(workload, null).restricted) return
    const name = `${workload.namespace}/${workload.name}`
    this.#options.logger.warn('no policy restricts the workload: every request is allowed', { workload: name })
  }

  #of(workload: Workload, service: TargetService | null): IstioTarget {
    const made = this.#made.get(workload) ?? new Map<string, IstioTarget>()
    this.#made.set(workload, made)
    const key = service === null ? '' : `${service.kind} ${service.namespace}/${service.name}`
    const known = made.get(key)
    if (known !== undefined) return known
    const { logger, now = Date.now } = this.#options
    const target = new IstioTarget(this.#mesh, workload, service, this.#tokens, { logger, now })
    made.set(key, target)
    return target
  }
}
