import { FAILURE, MOST_BODY } from './mesh.mjs'
import { decide, decideGate, decideRisk, decideRoles } from './rules.mjs'

const DENIED = { status: 403, body: 'RBAC: access denied' }
/** What became of a request that reaches the application. */
export const ALLOWED = Object.freeze({ allowed: true })

/** What Envoy makes of the status of a refusal where the request is gRPC. */
const GRPC_STATUS = { 400: 13, 401: 16, 403: 7, 404: 12, 503: 14 }

/**
 * The answers that a request to a proxy may get, by its policies and the rules of the providers that it needs, in the
 * versions and with the faults that there were from `from` to `to`: `ALLOWED`, or `{ status, body, failed }`, where
 * `failed` names the provider whose documented failure it is. A request is `{ to, method, path, headers, body, token }`:
 * `path` as policies see it, `token` null or `{ state, claims }`.
 */
export function answersTo(request, world, from, to) {
  const view = new View(request, world, from, to)
  const answers = { pool, gate, orders }[request.to](view)
  return request.grpc ? answers.map(asGrpc) : answers
}

class View {
  constructor(request, { outages, roles, policy, gate, rolesVersion }, from, to) {
    this.request = request
    this.policies = policy.between(from, to)
    this.gates = gate.between(from, to)
    this.rolesVersions = rolesVersion.between(from, to)
    this.failed = (provider) => outages.failed(roles[provider], from, to)
  }

  /** What a provider may say, and what follows from each. */
  ask(provider, refusals, rest) {
    const said = refusals.flatMap((refusal) => (refusal === null ? rest() : [refusal]))
    if (!this.failed(provider)) return said
    // It fails open.
    if (provider === 'risk') return [...said, ...rest()]
    return [...said, { status: FAILURE[provider], body: '', failed: provider }]
  }

  /** The answer to a token that does not verify; null where it does, or where there is none. */
  badToken() {
    if (this.request.token?.state === 'expired') return { status: 401, body: 'Jwt is expired' }
    if (this.request.token?.state === 'forged') return { status: 401, body: 'Jwt verification fails' }
    return null
  }

  get claims() {
    return this.request.token?.state === 'good' ? this.request.token.claims : null
  }
}

function pool(view) {
  const { method, path, headers } = view.request
  const rest = () => {
    const bad = view.badToken()
    if (bad !== null) return [bad]
    if (method === 'DELETE' || path.startsWith('/forbidden/')) return [DENIED]
    if (path.startsWith('/sometimes/')) {
      return view.policies.map(({ sometimes }) => (sometimes ? ALLOWED : DENIED))
    }
    if (['/checked/', '/open/'].some((start) => path.startsWith(start))) return [ALLOWED]
    return [path.startsWith('/token/') && view.claims !== null ? ALLOWED : DENIED]
  }
  return path.startsWith('/checked/') ? view.ask('pool', [decide(headers)], rest) : rest()
}

function gate(view) {
  const { path, headers, body } = view.request
  if (body.length > MOST_BODY) return [{ status: 413, body: 'Payload Too Large' }]
  const refusals = view.gates.map((version) => decideGate(version, headers, body))
  return view.ask('gate', refusals, () => [path.startsWith('/g/') ? ALLOWED : DENIED])
}

function orders(view) {
  const { path, headers, tenant } = view.request
  const bad = view.badToken()
  if (bad !== null) return [bad]
  const { claims } = view
  const last = () => [claims !== null || path === '/health' ? ALLOWED : DENIED]
  if (claims === null || !(path === '/orders' || path.startsWith('/orders/'))) return last()
  const refusals = view.rolesVersions.map((version) => decideRoles(version, claims, tenant))
  return view.ask('roles', refusals, () => view.ask('risk', [decideRisk(headers)], last))
}

function asGrpc(answer) {
  if (answer === ALLOWED) return answer
  return { status: 200, grpcStatus: GRPC_STATUS[answer.status] ?? 2, grpcMessage: answer.body, failed: answer.failed }
}

const anything = (...values) => ({ between: () => values })
/** A world in which everything may be in effect and everybody may fail. */
const ANY_WORLD = {
  outages: { failed: () => true },
  roles: {},
  policy: anything({ sometimes: true }, { sometimes: false }),
  gate: anything('wide', 'narrow'),
  rolesVersion: anything('open', 'strict'),
}

/** Whether the request is to be refused whatever is edited and whoever fails. */
export function neverAllowed(request) {
  return !answersTo(request, ANY_WORLD, 0, 0).includes(ALLOWED)
}
