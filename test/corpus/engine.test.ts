import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import type { CheckHttpRequest } from '#src/extauthz/check.ts'
import { encodeCheckRequest } from '#src/extauthz/check-request.ts'
import { createEngine } from '#src/extauthz/engines/engine.ts'
import { IstioTarget } from '#src/extauthz/engines/istio-target.ts'
import { TokenKeys } from '#src/extauthz/engines/token-keys.ts'
import type { Verdict } from '#src/extauthz/server/answer.ts'
import { type Checks, createJudge, type Judge, unobserved } from '#src/extauthz/server/judge.ts'
import { readCheckRequest } from '#src/extauthz/server/message-request.ts'
import { loadMesh } from '#src/mesh/load.ts'
import type { Mesh } from '#src/mesh/mesh.ts'
import { validateMesh } from '#src/mesh/validate.ts'
import type { Workload } from '#src/mesh/workload.ts'
import type { Logger } from '#src/observe/log.ts'
import type { CheckRequest } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { CheckRequestSchema } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { parseSource } from '#src/source/parse.ts'
import { connectionOf, headOf } from '#src/tools/given-request.ts'
import { isProblem, parseRequest, type TestRequest } from '#src/tools/request.ts'

/** Decisions of real Istio with real Envoy, asked over the messages of external authorization. */
const cases = join(dirname(fileURLToPath(import.meta.url)), '../../../test/corpus/cases')
const nothing = () => {}
const logger: Logger = { level: 'error', debug: nothing, info: nothing, warn: nothing, error: nothing }

interface Expected {
  readonly id: string
  readonly allowed?: boolean
  readonly decision?: 'allow' | 'deny'
  readonly status?: number
  readonly body?: string | null
  readonly grpcStatus?: number
}

interface Suite {
  readonly name: string
  readonly file: string
  readonly mesh: Mesh
  readonly workload: Workload
  readonly port: number
}

const tally = { suites: 0, invalid: 0, decided: 0, unasked: 0, stricter: 0 }

for (const name of readdirSync(cases).sort()) {
  const folder = join(cases, name)
  const file = join(folder, 'mesh.yaml')
  const text = readFileSync(file, 'utf8')
  const { mesh } = loadMesh(parseSource(file, text).documents)
  if (mesh.authorizationPolicies.some(({ action }) => action === 'CUSTOM')) continue
  const { workload: id, port } = JSON.parse(readFileSync(join(folder, 'suite.json'), 'utf8'))
  const workload = mesh.workloads.get(id) ?? assert.fail(id)
  const suite: Suite = { name, file, mesh, workload, port }
  test(`the engine agrees with Envoy on ${name}`, () => decide(suite, folder))
}

test('it was asked about nearly all', () => {
  assert.ok(tally.suites > 550 && tally.decided > 18_000, JSON.stringify(tally))
  assert.ok(tally.stricter < 25, JSON.stringify(tally))
})

async function decide(suite: Suite, folder: string): Promise<void> {
  const workload = { kind: 'named', name: `${suite.workload.namespace}/${suite.workload.name}`, labels: null } as const
  const engine = createEngine({ kind: 'istio', paths: [suite.file], namespace: 'default', workload }, { logger })
  const loading = await engine.load()
  if (loading.kind === 'failed') {
    // Istio's validation would refuse these files; its data plane, which the corpus asked, does not look.
    assert.ok(
      validateMesh(suite.mesh).some(({ severity }) => severity === 'error'),
      loading.message,
    )
    tally.invalid++
  }
  tally.suites++
  const checks = loading.kind === 'loaded' ? loading.checks : unvalidated(suite)
  const judge = createJudge(checks, 5000, logger, unobserved)
  const expected = new Map(lines(join(folder, 'expected.jsonl')).map((line) => [line.id, line as unknown as Expected]))
  for (const line of lines(join(folder, 'requests.jsonl'))) {
    const request = parseRequest(JSON.stringify(line))
    if (isProblem(request)) assert.fail(request.message)
    const want = expected.get(line.id) ?? assert.fail(line.id)
    await compare(suite, judge, request, want)
  }
  if (loading.kind === 'loaded') loading.close?.()
  engine.close()
}

function unvalidated({ mesh, workload }: Suite): Checks {
  const rules = mesh.requestAuthentications.flatMap(({ jwtRules }) => jwtRules)
  const tokens = new TokenKeys({ logger }).use(rules, mesh)
  return new IstioTarget(mesh, workload, null, tokens, { logger, now: Date.now })
}

async function compare(suite: Suite, judge: Judge, request: TestRequest, want: Expected): Promise<void> {
  const where = `${suite.name} ${want.id}`
  const http = headerOf(suite, request)
  if (http === 'refused') {
    tally.unasked++
    return
  }
  const merged = encode(suite, request, http)
  const raw = http === null ? [] : [withRawHeaders(merged, http)]
  const mayDiffer = http !== null && hasUnclearLines(http)
  for (const message of [merged, ...raw]) {
    const asked = readCheckRequest(Buffer.from(toBinary(CheckRequestSchema, message)), new AbortController())
    assert.ok(asked.kind === 'request' || asked.kind === 'connection', where)
    const verdict = await judge(asked)
    tally.decided++
    const decision = 'allowed' in want ? (want.allowed ? 'allow' : 'deny') : want.decision
    // Of lines that were joined on the way nobody knows any more what they were: refused either way is refused.
    if (message === merged && mayDiffer && verdict.kind === 'deny' && decision === 'allow') {
      tally.stricter++
      continue
    }
    assert.equal(verdict.kind, decision, where)
    compareAnswer(verdict, want, where)
  }
}

/** A refusal is what Envoy would have answered; that of a gRPC request is for the proxy to word. */
function compareAnswer(verdict: Verdict, want: Expected, where: string): void {
  if (verdict.kind !== 'deny' || 'allowed' in want || want.grpcStatus !== undefined || want.body === '') return
  assert.deepEqual([verdict.status, verdict.body], [want.status, want.body], where)
}

function headerOf({ mesh, workload, port }: Suite, request: TestRequest): CheckHttpRequest | null | 'refused' {
  if (request.http === null) return null
  const head = headOf(request.http, connectionOf({ mesh, workload, port } as never, request, port), {
    mesh,
    workload,
  } as never)
  if (head.kind === 'refused') return 'refused'
  const { id, method, path, host, scheme, headers } = head
  return { id, method, path, host, scheme, protocol: request.http.protocol, headers, body: null }
}

/** As our own proxy asks. */
function encode({ mesh, workload, port }: Suite, request: TestRequest, http: CheckHttpRequest | null): CheckRequest {
  const own = request.destination.port ?? port
  const { source, destination } = connectionOf({ mesh, workload, port } as never, request, own)
  const bytes = encodeCheckRequest({ source, destination, time: Date.now(), http }, { packAsBytes: false })
  const message = fromBinary(CheckRequestSchema, bytes)
  const { attributes } = message
  if (attributes !== undefined && request.destination.sni !== '') {
    attributes.tlsSession = {
      $typeName: 'envoy.service.auth.v3.AttributeContext.TLSSession',
      sni: request.destination.sni,
    }
  }
  return message
}

/** As an Envoy asks that is told to keep the lines of headers apart. */
function withRawHeaders(message: CheckRequest, http: CheckHttpRequest): CheckRequest {
  const copy = structuredClone(message)
  const asked = copy.attributes?.request?.http
  if (asked === undefined) throw new Error('no HTTP request')
  asked.headers = {}
  asked.headerMap = {
    $typeName: 'envoy.config.core.v3.HeaderMap',
    headers: [...http.headers].map(([key, value]) => ({
      $typeName: 'envoy.config.core.v3.HeaderValue',
      key,
      value: '',
      rawValue: Buffer.from(value, 'latin1'),
    })),
  }
  return copy
}

function hasUnclearLines({ headers }: CheckHttpRequest): boolean {
  return [...headers].some(([name, value]) => headers.all(name).length > 1 || value.includes(','))
}

function lines(file: string): readonly { readonly id: string }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
