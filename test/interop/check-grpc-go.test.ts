import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import type { CheckBody, CheckClient, CheckRequest } from '#src/extauthz/check.ts'
import { createGrpcClient } from '#src/extauthz/client/grpc-client.ts'
import { applyChanges } from '#src/extauthz/header-changes.ts'
import { applyQuery } from '#src/extauthz/query-changes.ts'
import { HeaderMap } from '#src/match/header-map.ts'
import type { GrpcProvider } from '#src/mesh/provider.ts'
import { peer } from './peers.ts'

const provider: GrpcProvider = {
  kind: 'grpc',
  name: 'go',
  service: 'authz.default.svc.cluster.local',
  port: 9090,
  timeout: 2000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: { maxRequestBytes: 1024, allowPartialMessage: true, packAsBytes: true },
}

const found = peer('go-authorizer')
const never = new AbortController().signal

function request(lines: [string, string][], body: CheckBody | null = null): CheckRequest {
  return {
    source: { ip: '10.0.0.1', port: 4711, principal: 'spiffe://cluster.local/ns/a/sa/b' },
    destination: { ip: '10.0.0.2', port: 8080, principal: 'spiffe://cluster.local/ns/c/sa/d' },
    time: 1_700_000_000_250,
    http: {
      id: '42',
      method: 'PUT',
      path: '/a?x=1&debug',
      host: 'web.foo:8080',
      scheme: 'https',
      protocol: 'HTTP/2',
      headers: HeaderMap.from(lines),
      body,
    },
  }
}

describe('our client asks a server on grpc-go', { skip: 'skip' in found ? found.skip : false }, () => {
  let server: ChildProcess
  let port: number
  let client: CheckClient

  before(async () => {
    server = spawn('path' in found ? found.path : '', ['-listen', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert(server.stdout)
    const [line] = await once(createInterface(server.stdout), 'line')
    port = Number(String(line).split(':').at(-1))
    client = createGrpcClient(provider, () => [{ address: '127.0.0.1', port }])
  })

  after(async () => {
    await client.close()
    server.kill('SIGTERM')
    await once(server, 'exit')
  })

  test('it allows, with a status and without', async () => {
    const allowed = { kind: 'allow', changes: [], responseChanges: [] }
    assert.deepEqual(await client.check(request([['x-decide', 'allow']]), never), allowed)
    assert.deepEqual(await client.check(request([['x-decide', 'empty']]), never), allowed)
  })

  test('it denies with status, cookies and body', async () => {
    assert.deepEqual(await client.check(request([]), never), {
      kind: 'deny',
      status: 401,
      headers: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      body: Buffer.from('who are you?'),
    })
  })

  test('it rewrites headers and query', async () => {
    const asked = request([
      ['x-decide', 'rewrite'],
      ['x-user', 'forged'],
      ['x-list', 'ours'],
      ['x-secret', '1'],
    ])
    const outcome = await client.check(asked, never)
    assert.equal(outcome.kind, 'allow')
    assert(asked.http && outcome.queryChanges)
    assert(applyChanges(asked.http.headers, outcome.changes))
    assert.deepEqual(
      [...asked.http.headers],
      [
        ['x-decide', 'rewrite'],
        ['x-user', 'spiffe://cluster.local/ns/a/sa/b'],
        ['x-list', 'ours,theirs'],
      ],
    )
    assert.equal(applyQuery(asked.http.path, outcome.queryChanges), '/a?tenant=a%20b&x=1')
    assert.deepEqual(outcome.responseChanges, [{ kind: 'set', name: 'x-checked', value: 'go' }])
  })

  test('it fails, by RPC status and by its own error answer', async () => {
    const rpc = await client.check(request([['x-decide', 'rpc']]), never)
    assert.deepEqual([rpc.kind, rpc.kind === 'error' && rpc.reason], ['error', 'unavailable'])
    const error = await client.check(request([['x-decide', 'error']]), never)
    assert.equal(error.kind, 'error')
    assert.deepEqual(error.reply, { status: 503, headers: [], body: Buffer.from('the directory is down') })
  })

  test('it hangs', async () => {
    const hasty = createGrpcClient({ ...provider, timeout: 100 }, () => [{ address: '127.0.0.1', port }])
    const outcome = await hasty.check(request([['x-decide', 'hang']]), never)
    assert.deepEqual([outcome.kind, outcome.kind === 'error' && outcome.reason], ['error', 'timeout'])
    await hasty.close()
  })

  test('it reads of the request what Envoy would have sent', async () => {
    const lines: [string, string][] = [
      ['host', 'web.foo:8080'],
      ['x-decide', 'dump'],
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['x-bytes', '\xff'],
    ]
    const outcome = await client.check(request(lines, { bytes: Buffer.from([1, 255]), partial: true }), never)
    assert.equal(outcome.kind, 'deny')
    const { request: seen, metadata } = JSON.parse(Buffer.from(outcome.body).toString())
    const side = (address: string, portValue: number, principal: string) => ({
      address: { socketAddress: { address, portValue } },
      principal,
    })
    assert.deepEqual(seen, {
      attributes: {
        source: side('10.0.0.1', 4711, 'spiffe://cluster.local/ns/a/sa/b'),
        destination: side('10.0.0.2', 8080, 'spiffe://cluster.local/ns/c/sa/d'),
        request: {
          time: '2023-11-14T22:13:20.250Z',
          http: {
            id: '42',
            method: 'PUT',
            path: '/a?x=1&debug',
            host: 'web.foo:8080',
            scheme: 'https',
            protocol: 'HTTP/2',
            size: '2',
            rawBody: 'Af8=',
            headers: {
              ':authority': 'web.foo:8080',
              ':method': 'PUT',
              ':path': '/a?x=1&debug',
              ':scheme': 'https',
              'x-decide': 'dump',
              cookie: 'a=1,b=2',
              'x-bytes': '!',
              'x-envoy-auth-partial-body': 'true',
            },
          },
        },
        metadataContext: {},
        routeMetadataContext: {},
      },
    })
    assert.deepEqual(metadata[':authority'], ['authz.default.svc.cluster.local'])
    assert.deepEqual(metadata['x-envoy-internal'], ['true'])
  })
})
