import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { create, type DescFile, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { frameMessage } from '#src/extauthz/grpc-framing.ts'
import { allow, createAuthorizer, deny } from '#src/extauthz/index.ts'
import {
  CheckRequestSchema,
  file_envoy_service_auth_v3_external_auth,
} from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { file_grpc_health_v1_health } from '#src/proto/gen/grpc/health/v1/health_pb.ts'
import { type PeerName, peer } from './peers.ts'

const call = 'envoy.service.auth.v3.Authorization/Check'
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const

/** Path `/0` is allowed, `/1` is refused, and `/2` is refused a moment later. */
const authorizer = createAuthorizer({
  async check({ path }) {
    if (path === '/2') await new Promise((resolve) => setImmediate(resolve))
    return path === '/0' ? allow({ headers: { 'x-user': 'u' } }) : deny({ status: path === '/1' ? 401 : 403 })
  },
  logger: silent,
})
const folder = mkdtempSync(join(tmpdir(), 'http2-peers-'))
let address = ''

before(async () => {
  const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
  address = `127.0.0.1:${grpc?.port}`
})
after(async () => {
  await authorizer.close({ grace: 0 })
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a peer. A status other than 0 is told in the error, with what it printed. */
async function run(name: PeerName, ...args: string[]): Promise<string> {
  const found = peer(name)
  assert.ok('path' in found)
  const { stdout } = await promisify(execFile)(found.path, args, { timeout: 90_000, maxBuffer: 1 << 26 })
  return stdout
}

function needs(name: PeerName) {
  const found = peer(name)
  return { skip: 'skip' in found ? found.skip : false }
}

describe('peers of HTTP/2 and gRPC ask an authorizer', () => {
  test('h2spec finds nothing, in what RFC 9113 demands and in what it advises', needs('h2spec'), async () => {
    const [host, port] = address.split(':') as [string, string]
    const report = join(folder, 'h2spec.xml')
    await run('h2spec', '--strict', '--host', host, '--port', port, '--junit-report', report)
    const xml = readFileSync(report, 'utf8')
    const suites = [...xml.matchAll(/<testsuite [^>]*tests="(\d+)"[^>]*failures="(\d+)"[^>]*errors="(\d+)"/g)]
    const sum = (index: number) => suites.reduce((total, suite) => total + Number(suite[index]), 0)
    assert.ok(sum(1) >= 146, `${sum(1)} tests`)
    assert.deepEqual([sum(2), sum(3)], [0, 0])
  })

  test('grpc-go asks a thousand times at once, with large requests among them', needs('go-authorizer'), async () => {
    const answers = JSON.parse(await run('go-authorizer', '-call', address, '-n', '1000'))
    assert.deepEqual(answers, { allowed: 334, 401: 333, 403: 333 })
  })

  test('ghz, over several connections', needs('ghz'), async () => {
    const data = JSON.stringify({ attributes: { request: { http: { method: 'GET', path: '/0' } } } })
    const protoset = await descriptors()
    const args = ['--insecure', '--protoset', protoset, '--call', call, '-d', data, '-n', '2000', '-c', '20']
    const report = JSON.parse(await run('ghz', ...args, '--connections', '4', '-O', 'json', address))
    assert.deepEqual(report.statusCodeDistribution, { OK: 2000 })
  })

  test('grpcurl', needs('grpcurl'), async () => {
    const protoset = await descriptors()
    const data = (path: string) => JSON.stringify({ attributes: { request: { http: { method: 'GET', path } } } })
    const ask = async (path: string) =>
      JSON.parse(await run('grpcurl', '-plaintext', '-protoset', protoset, '-d', data(path), address, call))
    assert.equal((await ask('/0')).okResponse.headers[0].header.key, 'x-user')
    assert.equal((await ask('/1')).deniedResponse.status.code, 'Unauthorized')
    const health = ['-plaintext', '-protoset', protoset, address, 'grpc.health.v1.Health/Check']
    assert.deepEqual(JSON.parse(await run('grpcurl', ...health)), { status: 'SERVING' })
  })

  test('nghttp2, with many streams on many connections', needs('h2load'), async () => {
    const file = join(folder, 'check.bin')
    const message = create(CheckRequestSchema, { attributes: { request: { http: { method: 'GET', path: '/0' } } } })
    writeFileSync(file, frameMessage(toBinary(CheckRequestSchema, message)))
    const fields = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']
    const printed = await run('h2load', '-n5000', '-c50', '-m20', '-d', file, ...fields, `http://${address}/${call}`)
    assert.match(printed, /5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout/)
  })
})

/** The messages' descriptors in a file, as Go's tools read them. */
async function descriptors(): Promise<string> {
  const files = new Map<string, DescFile>()
  const add = (file: DescFile) => {
    if (files.has(file.name)) return
    for (const one of file.dependencies) add(one)
    files.set(file.name, file)
  }
  add(file_envoy_service_auth_v3_external_auth)
  add(file_grpc_health_v1_health)
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].map(({ proto }) => proto) })
  const place = join(folder, 'descriptors.binpb')
  writeFileSync(place, toBinary(FileDescriptorSetSchema, set))
  return place
}
