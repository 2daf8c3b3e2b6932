import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { CheckClient, CheckRequest } from '#src/extauthz/check.ts'
import { createGrpcClient } from '#src/extauthz/client/grpc-client.ts'
import { createHttpClient } from '#src/extauthz/client/http-client.ts'
import { HeaderMap } from '#src/match/header-map.ts'
import type { GrpcProvider, HttpProvider } from '#src/mesh/provider.ts'
import { peer } from '../interop/peers.ts'
import { echo } from './exchange.ts'
import { type Asked, Load, ProviderProcess } from './providers.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'

/** Milliseconds: what a check may take, and what may come on top of it besides the machine's own pauses. */
const timeout = 400
const margin = 250

/** Requests at a time. */
const width = 8

const stage = new Stage()
const ports = { grpc: [] as number[], http: [] as number[] }
let providers: ProviderProcess[] = []

before(async () => {
  const free = await freePorts('a', 'b', 'c', 'd', 'e', 'f')
  ports.grpc = [free.a, free.b, free.c]
  ports.http = [free.d, free.e, free.f]
  const go = peer('go-authorizer')
  // The third is on grpc-go, where it is installed: the same protocol by other hands.
  providers = ['one', 'two', 'three'].map((name, i) => {
    const foreign = name === 'three' && 'path' in go ? go.path : null
    return new ProviderProcess(foreign === null ? name : 'go', ports.grpc[i] ?? 0, ports.http[i] ?? 0, foreign)
  })
  stage.ending(() => Promise.all(providers.map((provider) => provider.kill())))
  await Promise.all(providers.map((provider) => provider.start()))
})
after(() => stage.end())

/** How requests reach the providers, and who decided them. */
type Ask = () => Promise<Pick<Asked, 'by' | 'failure'>>

interface Variant {
  readonly what: string
  /** Those that it asks. */
  readonly asked: () => readonly ProviderProcess[]
  readonly start: () => Promise<Ask>
}

const base = {
  name: 'providers',
  service: 'ext-authz.default.svc.cluster.local',
  port: 9090,
  timeout,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

function asking(client: CheckClient): Ask {
  const side = { ip: '127.0.0.1', port: 1, principal: '' }
  const line = { id: '1', method: 'GET', path: '/', host: 'web', scheme: 'http', protocol: 'HTTP/1.1', body: null }
  return async () => {
    const headers = HeaderMap.from([['x-decide', 'rewrite']])
    const checked: CheckRequest = { source: side, destination: side, time: 0, http: { ...line, headers } }
    const outcome = await client.check(checked, new AbortController().signal)
    if (outcome.kind !== 'allow') return { by: null, failure: outcome.kind === 'error' ? outcome.message : 'denied' }
    const change = outcome.responseChanges.find(({ name }) => name === 'x-checked')
    return { by: change !== undefined && 'value' in change ? change.value : 'nobody', failure: '' }
  }
}

async function grpcClient(): Promise<Ask> {
  const endpoints = ports.grpc.map((port) => ({ address: '127.0.0.1', port }))
  const provider: GrpcProvider = { kind: 'grpc', ...base }
  const client = createGrpcClient(provider, () => endpoints, { outlier: { baseEjectionTime: 1000 } })
  stage.ending(() => client.close())
  return asking(client)
}

async function httpClient(): Promise<Ask> {
  const endpoints = ports.http.slice(0, 2).map((port) => ({ address: '127.0.0.1', port }))
  const provider: HttpProvider = {
    kind: 'http',
    ...base,
    pathPrefix: '',
    includeRequestHeaders: [],
    includeAdditionalHeaders: [],
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnAllow: ['x-checked'],
    headersToDownstreamOnDeny: [],
  }
  const client = createHttpClient(provider, () => endpoints, { outlier: { baseEjectionTime: 1000 } })
  stage.ending(() => client.close())
  return asking(client)
}

let running: Sallyport

function writeMesh(endpoints: readonly number[]): void {
  stage.write(
    'mesh.yaml',
    `extensionProviders:
- name: providers
  envoyExtAuthzGrpc: { service: ext-authz.example, port: 9090, timeout: ${timeout / 1000}s }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ext-authz, namespace: default }
spec:
  hosts: [ext-authz.example]
  resolution: STATIC
  ports: [{ name: grpc, number: 9090, protocol: GRPC }]
  endpoints:
${endpoints.map((port) => `  - { address: 127.0.0.1, ports: { grpc: ${port} } }`).join('\n')}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: default }
spec:
  action: CUSTOM
  provider: { name: providers }
  rules: [{}]
`,
  )
}

async function proxy(): Promise<Ask> {
  const app = await stage.application(echo)
  writeMesh(ports.grpc)
  const place = [
    '--workload',
    'default/web',
    '--label',
    'app=web',
    '--listen',
    '8080=127.0.0.1:0',
    '--app',
    `127.0.0.1:${app}`,
  ]
  running = await stage.up('-f', stage.path('mesh.yaml'), ...place)
  const port = running.port('inbound default/web:8080')
  const agent = new Agent({ keepAlive: true })
  stage.ending(() => agent.destroy())
  return () =>
    new Promise((resolve, reject) => {
      const headers = { 'x-decide': 'rewrite' }
      const message = request({ host: '127.0.0.1', port, path: '/', agent, headers }, (response) => {
        response.resume().once('end', () => {
          const by = response.statusCode === 200 ? String(response.headers['x-checked']) : null
          resolve({ by, failure: by === null ? String(response.statusCode) : '' })
        })
      })
      message.once('error', reject).end()
    })
}

const variants: readonly Variant[] = [
  { what: 'a gRPC client', asked: () => providers, start: grpcClient },
  { what: 'an HTTP client', asked: () => providers.slice(0, 2), start: httpClient },
  { what: 'a proxy', asked: () => providers, start: proxy },
]

function failures(answers: readonly Asked[]): readonly Asked[] {
  return answers.filter(({ by }) => by === null)
}

function longest(answers: readonly Asked[]): number {
  return Math.max(...answers.map(({ began, ended }) => ended - began))
}

function share(answers: readonly Asked[], { name }: ProviderProcess): number {
  return answers.filter(({ by }) => by === name).length / answers.length
}

for (const { what, asked, start } of variants) {
  describe(`${what} under load, and its providers`, () => {
    let load: Load

    before(async () => {
      load = new Load(width, await start())
      for (const { name } of asked()) await load.until(name, 5000)
    })
    after(() => load.stop())

    /** Nobody waited beyond the timeout, and only as many failed as were on their way when it began. */
    function assertBounded(from: number, mayFail: number): void {
      const answers = load.answers.filter(({ ended }) => ended >= from)
      const lost = failures(answers)
      const told = JSON.stringify(lost.map(({ failure, began }) => [failure, Math.round(began - from)]))
      const most = timeout + margin + 2 * load.lag(from)
      assert.ok(longest(answers) < most, `one waited ${longest(answers)} ms, where ${most} are the most`)
      assert.ok(lost.length <= mayFail, `${lost.length} of ${answers.length} failed: ${told}`)
    }

    test('one is killed: no request is decided by it, and at most those fail that it had', async () => {
      const [victim] = asked() as [ProviderProcess]
      const from = performance.now()
      await victim.kill()
      const dead = performance.now()
      await delay(800)
      try {
        assert.ok(load.since(dead).length > width)
        assert.equal(share(load.since(dead), victim), 0)
        assertBounded(from, width)
        assert.deepEqual(failures(load.since(dead + 100)), [])
      } finally {
        await victim.start()
      }
      await load.until(victim.name, 5000)
    })

    test('one hangs: the requests that it has fail at the timeout, and few others', async () => {
      const [, victim] = asked() as [unknown, ProviderProcess]
      const from = performance.now()
      victim.pause()
      await delay(1500)
      try {
        // Beside those that it has, a few may be given to it before it is known.
        assertBounded(from, width + 5)
        assert.equal(share(load.since(from + 50), victim), 0)
        assert.ok(load.since(from + 50).length > 2 * width)
      } finally {
        victim.resume()
      }
      await load.until(victim.name, 8000)
    })

    test('one is slow: nothing fails, and it is asked less', async () => {
      const [victim] = asked() as [ProviderProcess]
      await victim.take(150)
      const from = performance.now()
      await delay(1000)
      await victim.take(0)
      assertBounded(from, 0)
      const part = share(load.since(from), victim)
      assert.ok(part > 0 && part < 0.5 / asked().length, `it decided ${part}`)
    })

    test('one is slower than the timeout: it is found out', async () => {
      const [victim] = asked() as [ProviderProcess]
      await victim.take(timeout * 2)
      const from = performance.now()
      await delay(1500)
      await victim.take(0)
      assertBounded(from, width + 5)
      await load.until(victim.name, 15_000)
    })

    if (start === proxy) {
      test('the files take one away and bring it back: no check is lost', async () => {
        const [victim] = asked() as [ProviderProcess]
        const from = performance.now()
        assert.equal((await running.reload(() => writeMesh(ports.grpc.slice(1)))).kind, 'applied')
        const gone = performance.now()
        await delay(300)
        assert.ok(load.since(gone).length > 0)
        assert.equal(share(load.since(gone), victim), 0)
        assert.equal((await running.reload(() => writeMesh(ports.grpc))).kind, 'applied')
        await load.until(victim.name, 5000)
        assertBounded(from, 0)
      })
    }

    test('all are killed: every request is refused soon; and they are asked again when they are back', async () => {
      await Promise.all(asked().map((one) => one.kill()))
      const dead = performance.now()
      await delay(500)
      const answers = load.since(dead)
      assert.ok(answers.length > width)
      assert.equal(failures(answers).length, answers.length)
      assert.ok(longest(answers) < timeout + load.lag(dead), `one waited ${longest(answers)} ms`)
      await Promise.all(asked().map((one) => one.start()))
      for (const { name } of asked()) await load.until(name, 8000)
      const back = performance.now()
      await delay(300)
      assert.deepEqual(failures(load.since(back)), [])
    })
  })
}
