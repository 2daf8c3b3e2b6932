import { describeMesh } from './describe-mesh.ts'
import { describeOutcome, describeRequest, describeScript } from './describe-request.ts'
import { type TokenState, tokenStates } from './generate-tokens.ts'
import { allRows } from './listed.ts'
import type { Outcome } from './outcome.ts'
import type { Row } from './rewritings.ts'
import type { Case, MeshSpec, RequestSpec } from './spec.ts'
import { conditionKeys } from './vocabulary.ts'

type Group = { readonly [item: string]: number }
type Groups = { readonly [group: string]: Group }

const source = [
  'principals',
  'requestPrincipals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
  'ipBlocks',
  'remoteIpBlocks',
]
const operation = ['hosts', 'ports', 'methods', 'paths']
const not = (field: string) => `not${field.charAt(0).toUpperCase()}${field.slice(1)}`

/** Everything that a run must reach. */
const plan = {
  fields: [...source, ...operation].flatMap((field) => [field, not(field)]),
  'when keys': conditionKeys.flatMap((key) => [key, `not ${key}`]),
  operators: [
    'exact',
    'prefix',
    'suffix',
    'presence',
    'template {*}',
    'template {**}',
    'CIDR',
    'single IP',
    'IPv6',
    'cannot be used',
  ],
  actions: [
    'ALLOW',
    'DENY',
    'AUDIT',
    'CUSTOM',
    'dry-run ALLOW',
    'dry-run DENY',
    'dry-run AUDIT',
    'dry-run CUSTOM',
    'no rules',
    'rules: [{}]',
    'rules over ten',
  ],
  attachments: [
    'namespace',
    'selector',
    'root namespace',
    'root selector',
    'other namespace',
    'targetRef',
    'targetRefs Gateway',
    'targetRefs GatewayClass',
    'targetRefs Service',
    'targetRefs ServiceEntry',
  ],
  workloads: ['sidecar', 'gateway', 'gatewayApi', 'waypoint'],
  'mesh settings': [
    'aliases',
    'other trust domain',
    'path mode unset',
    'path mode DEFAULT',
    'path mode NONE',
    'path mode BASE',
    'path mode MERGE_SLASHES',
    'path mode DECODE_AND_MERGE_SLASHES',
    'trusted proxies',
    'STRICT',
    'PERMISSIVE',
    'DISABLE',
    'port level mTLS',
  ],
  providers: [
    'grpc',
    'http',
    'several',
    'missing',
    'unreachable',
    'failOpen',
    'statusOnError',
    'request body',
    'partial body',
    'packed body',
    'path prefix',
    'headers in check',
    'headers upstream',
    'headers downstream on allow',
    'headers downstream on deny',
  ],
  'provider answers': [
    'grpc allow',
    'grpc deny',
    'grpc deny without words',
    'grpc error answer',
    'grpc empty',
    'grpc headers set',
    'grpc headers appended',
    'grpc headers removed',
    'grpc request line',
    'grpc query',
    'grpc answer headers',
    'grpc status',
    'grpc garbage',
    'grpc close',
    'grpc silence',
    'delay',
    'http allow',
    'http deny',
    'http other 2xx',
    'http 5xx',
    'http headers',
    'http headers to remove',
    'http close',
    'http silence',
  ],
  'token states': [...tokenStates, 'several tokens'],
  'token rules': [
    'one',
    'several',
    'audiences',
    'fromHeaders',
    'fromParams',
    'fromCookies',
    'forwardOriginalToken',
    'outputPayloadToHeader',
    'outputClaimToHeaders',
    'spaceDelimitedClaims',
    'no issuer',
  ],
  protocols: [
    'HTTP/1.1',
    'HTTP/1.0',
    'gRPC',
    'TCP',
    'TCP mTLS',
    'plaintext',
    'mTLS',
    'SNI',
    'no certificate',
    'foreign trust domain',
    'unknown root',
    'no istio ALPN',
    'body by length',
    'chunked body',
    'source address',
    'second port',
  ],
  requests: [
    'odd path',
    'absolute target',
    'odd host',
    'no host',
    'duplicate header',
    'X-Forwarded-For',
    'X-Forwarded-For chain',
    'preflight',
    'HEAD',
    'odd method',
    'Connection options',
  ],
  outcomes: [
    'allowed',
    'DENY rule',
    'implicit deny',
    'bad CUSTOM',
    'provider denies',
    'provider fails',
    'token 401',
    'audience 403',
    '400',
    '404',
    '413',
    '426',
    '501',
    'closed',
    'gRPC refusal',
    'TCP allowed',
    'TCP denied',
    'dry-run result',
    'audited',
  ],
  'listed differences': allRows,
} as const satisfies { readonly [group: string]: readonly string[] }

export type CoverageGroup = keyof typeof plan

export type Hit = (group: CoverageGroup, item: string) => void

/** Counts what the cases of a run reached. */
export class Coverage {
  readonly #groups = new Map<string, Map<string, number>>()

  constructor() {
    for (const [group, items] of Object.entries(plan)) this.#groups.set(group, new Map(items.map((item) => [item, 0])))
  }

  hit(group: CoverageGroup, item: string): void {
    const counts = this.#groups.get(group)
    const count = counts?.get(item)
    if (counts === undefined || count === undefined) throw new Error(`coverage does not know ${item} among ${group}`)
    counts.set(item, count + 1)
  }

  /** Counts of one mesh of many, once for each of its requests. */
  mesh(spec: MeshSpec): void {
    describeMesh(spec, (group, item) => this.hit(group, item))
  }

  request(request: RequestSpec, states: readonly TokenState[]): void {
    for (const state of states) this.hit('token states', state)
    if (states.length > 1) this.hit('token states', 'several tokens')
    describeRequest(request, (group, item) => this.hit(group, item))
  }

  outcome(one: Case, outcome: Outcome): void {
    describeOutcome(one, outcome, (item) => this.hit('outcomes', item))
    if (outcome.checks.length > 0 && one.request.script !== null) {
      describeScript(one.request.script, (item) => this.hit('provider answers', item))
    }
  }

  listed(row: Row): void {
    this.hit('listed differences', row)
  }

  add(other: Groups): void {
    for (const [group, items] of Object.entries(other)) {
      for (const [item, count] of Object.entries(items)) {
        const counts = this.#groups.get(group)
        counts?.set(item, (counts.get(item) ?? 0) + count)
      }
    }
  }

  toJSON(): Groups {
    return Object.fromEntries([...this.#groups].map(([group, items]) => [group, Object.fromEntries(items)]))
  }

  missing(): readonly string[] {
    return [...this.#groups].flatMap(([group, items]) =>
      [...items].filter(([, count]) => count === 0).map(([item]) => `${group}: ${item}`),
    )
  }

  /** A line an item, by group. */
  table(): string {
    const rows = [...this.#groups].flatMap(([group, items]) => {
      const width = Math.max(...[...items.keys()].map((item) => item.length))
      const lines = [...items].map(([item, count]) => `  ${item.padEnd(width)} ${String(count).padStart(8)}`)
      return [group, ...lines]
    })
    return rows.join('\n')
  }
}
