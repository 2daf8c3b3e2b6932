import { generateKeyPairSync } from 'node:crypto'
import type { TestContext } from 'node:test'
import { signToken } from '../authn/jwt/sign-token.ts'
import { createOfflineKeySource } from '../authn/key-source.ts'
import { createGrpcClient } from '../extauthz/client/grpc-client.ts'
import { createHttpClient } from '../extauthz/client/http-client.ts'
import { type Answer, type AuthorizerRequest, createAuthorizer } from '../extauthz/index.ts'
import { loadMesh } from '../mesh/load.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { findService } from '../mesh/registry.ts'
import { validateMesh } from '../mesh/validate.ts'
import { MetricsRegistry } from '../observe/metrics.ts'
import { parseSource } from '../source/parse.ts'
import type { ProxyConfig } from './config.ts'
import { configure } from './configure.ts'
import type { DecisionLogEntry } from './decision-log.ts'
import { createProxy, type ProxyServer } from './proxy.ts'
import { silent } from './support.test.fixture.ts'

/** A provider of the mesh with a real authorizer behind it, which a test tells what to decide. */
export interface TestProvider {
  readonly name: string
  /** Replaced by a test. */
  decide: (request: AuthorizerRequest) => Answer | Promise<Answer>
  /** What it was asked, over HTTP or gRPC. */
  readonly asked: AuthorizerRequest[]
  /** Waits until it was asked so often in all. */
  called(times: number): Promise<void>
  readonly port: number
  stop(): Promise<void>
}

export async function startProvider(
  t: TestContext,
  name: string,
  decide: TestProvider['decide'],
  kind: 'grpc' | 'http' = 'grpc',
): Promise<TestProvider> {
  let wake = () => {}
  const asked: AuthorizerRequest[] = []
  const authorizer = createAuthorizer({
    logger: silent,
    // A test holds answers back for as long as it needs on a busy machine.
    timeout: 20_000,
    check(request) {
      asked.push(request)
      wake()
      return provider.decide(request)
    },
    checkConnection: (connection) => {
      asked.push(connection as unknown as AuthorizerRequest)
      wake()
      return provider.decide(connection as unknown as AuthorizerRequest)
    },
  })
  const listening = await authorizer.listen({ [kind]: '127.0.0.1:0' })
  const stop = () => authorizer.close({ grace: 0 })
  t.after(stop)
  const provider: TestProvider = {
    name,
    decide,
    asked,
    async called(times) {
      while (asked.length < times) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    port: (listening[kind] ?? { port: 0 }).port,
    stop,
  }
  return provider
}

/** The providers' part of the mesh, in YAML. `settings` are further fields of one, by name. */
export function meshOf(
  providers: readonly Pick<TestProvider, 'name' | 'port'>[],
  settings: Readonly<Record<string, string>> = {},
  http: readonly string[] = [],
): string {
  const entries = providers.map(({ name, port }) => {
    const kind = http.includes(name) ? 'envoyExtAuthzHttp' : 'envoyExtAuthzGrpc'
    const more = settings[name] === undefined ? '' : `, ${settings[name]}`
    return `- name: ${name}\n  ${kind}: { service: ${name}.test, port: ${port}, timeout: 20s${more} }`
  })
  const services = providers.map(
    ({ name, port }) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: foo }
spec:
  hosts: [${name}.test]
  resolution: STATIC
  ports: [{ name: any, number: ${port}, protocol: TCP }]
  endpoints: [{ address: 127.0.0.1 }]
`,
  )
  return `extensionProviders:
${entries.join('\n')}
${services.join('')}---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: none, namespace: foo }
spec: { mtls: { mode: DISABLE } }
---
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: foo, labels: { app: web } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80, name: http }] }] }
`
}

export function delegation(spec: string, name = 'web'): string {
  return `---
apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata: { name: ${name}, namespace: foo }
spec:
${spec.replace(/^/gm, '  ')}
`
}

/** An issuer whose keys are in its RequestAuthentication. */
export class TestIssuer {
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  get jwks(): string {
    return JSON.stringify({ keys: [{ ...this.#keys.publicKey.export({ format: 'jwk' }), kid: 'k' }] })
  }

  get requestAuthentication(): string {
    return `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: foo }
spec:
  jwtRules:
  - issuer: https://issuer.test
    jwks: '${this.jwks}'
`
  }

  /** The value of `authorization`. `exp` is an hour from now unless the claims say otherwise. */
  bearer(claims: Readonly<Record<string, unknown>>): string {
    const payload = { iss: 'https://issuer.test', exp: Math.floor(Date.now() / 1000) + 3600, ...claims }
    const signing = { alg: 'ES256', key: this.#keys.privateKey }
    return `Bearer ${signToken('{"alg":"ES256","kid":"k"}', JSON.stringify(payload), signing)}`
  }
}

export interface RunningSidecar {
  readonly port: number
  readonly proxy: ProxyServer
  readonly metrics: MetricsRegistry
  /** Logged lines of shadows. */
  readonly shadows: Readonly<Record<string, unknown>>[]
  /** Waits for so many of these lines. */
  shadowed(count: number): Promise<void>
  logged(count: number): Promise<readonly DecisionLogEntry[]>
  /** Takes other files. */
  reload(text: string): Promise<void>
  /** Lines of one metric, without its name. */
  metric(name: string): string[]
}

export function readMesh(text: string): Mesh {
  const { documents, diagnostics } = parseSource('mesh.yaml', text)
  const loaded = loadMesh(documents)
  const problems = [...diagnostics, ...loaded.diagnostics, ...validateMesh(loaded.mesh)]
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  return loaded.mesh
}

/** A sidecar of foo/web in front of an application, as `up` configures it. */
export async function startSidecar(
  t: TestContext,
  text: string,
  application: number,
  { protocol = 'http' }: { readonly protocol?: 'http' | 'tcp' } = {},
): Promise<RunningSidecar> {
  let mesh = readMesh(text)
  const clients = new Map<string, ReturnType<typeof createGrpcClient>>()
  t.after(() => Promise.all([...clients.values()].map((client) => client.close())))
  const configured = (): ProxyConfig => {
    const workload = mesh.workloads.get('foo/web')
    if (workload === undefined) throw new Error('no workload')
    const place = { host: '127.0.0.1', port: 0 }
    const to = { kind: 'tcp', host: '127.0.0.1', port: application } as const
    return configure({
      mesh,
      local: [
        { workload, inbound: [{ origin: null, port: 80, protocol, listen: place, application: to }], outbound: [] },
      ],
      identity: () => {
        throw new Error('no mTLS here')
      },
      keys: createOfflineKeySource(),
      client(provider) {
        const known = clients.get(provider.name)
        if (known !== undefined) return known
        const endpoints = () => {
          const found = findService(mesh, provider.service, provider.port)
          return found.kind === 'found' ? found.endpoints : []
        }
        const client =
          provider.kind === 'grpc' ? createGrpcClient(provider, endpoints) : createHttpClient(provider, endpoints)
        clients.set(provider.name, client)
        return client
      },
    })
  }
  const entries: DecisionLogEntry[] = []
  const shadows: Readonly<Record<string, unknown>>[] = []
  const metrics = new MetricsRegistry()
  let wake = () => {}
  const tell = (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
    if (message === 'provider in shadow') shadows.push(fields)
    wake()
  }
  const proxy = createProxy(configured(), {
    log: { level: 'debug', debug: tell, info: tell, warn: tell, error: tell },
    metrics,
    decisions: (entry) => {
      entries.push(entry)
      wake()
    },
  })
  await proxy.start()
  t.after(() => proxy.close(0))
  const until = async (enough: () => boolean) => {
    while (!enough()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return {
    port: [...proxy.addresses().values()][0]?.port ?? 0,
    proxy,
    metrics,
    shadows,
    shadowed: (count) => until(() => shadows.length >= count),
    async logged(count) {
      await until(() => entries.length >= count)
      return entries
    },
    async reload(changed) {
      mesh = readMesh(changed)
      const result = await proxy.apply(configured())
      if (result.kind === 'failed') throw new Error(JSON.stringify(result.errors))
    },
    metric: (name) =>
      metrics
        .render()
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`))
        .map((line) => line.slice(name.length)),
  }
}
