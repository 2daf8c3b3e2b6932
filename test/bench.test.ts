import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

// What `npm run bench` runs. A peer that decides otherwise than Sallyport ends it with an error.
const program = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url))

interface Row {
  readonly what: string
  readonly ours: number
  readonly unit: string
  readonly peer?: string
  readonly theirs?: number
  readonly ratio?: number
}

interface Report {
  readonly rows: readonly Row[]
  readonly notes: readonly string[]
}

async function quick(name: string): Promise<Report> {
  const args = [program, name, '--quick', '-o', 'json']
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 100_000 })
  return JSON.parse(stdout)
}

function assertRows({ rows }: Report, units: readonly string[]): void {
  for (const { what, ours, unit, peer, theirs, ratio, ...rest } of rows) {
    assert.ok(what !== '' && ours > 0 && units.includes(unit), `${what}: ${ours} ${unit}`)
    assert.deepEqual(rest, {})
    if (peer === undefined) assert.deepEqual([theirs, ratio], [undefined, undefined])
    else
      assert.ok(Math.abs(Number(theirs) / ours / Number(ratio) - 1) < 0.02, `${what}: ${theirs} / ${ours} is ${ratio}`)
  }
  const names = rows.map(({ what, peer }) => `${what}, ${peer ?? 'alone'}`)
  assert.deepEqual([...new Set(names)], names)
}

/** The peer has a row, or a note says that it is not installed, which with CI set it must be. */
function assertPeer({ rows, notes }: Report, peer: string): void {
  if (rows.some((row) => row.peer === peer)) return
  const absent = notes.some((note) => note.startsWith(`${peer} was not measured: `) && note.includes('not installed'))
  assert.ok(absent && (process.env.CI ?? '') === '', `${peer} has no row: ${notes.join('\n')}`)
}

test('decisions are measured by number and shape of policies, beside peers that decide alike', async () => {
  const report = await quick('decide')
  assertRows(report, ['us'])
  const kinds = ['all requests', 'requests that match', 'requests that match none']
  const expected = kinds.flatMap((kind) => ['10', '100'].map((count) => `mixed, ${count} policies, ${kind}`))
  const shapes = [
    'prefixes that share a stem',
    'suffixes',
    'templates',
    'templates that share a stem',
    'templates of two literals, each with each',
    'only `not` fields',
    'networks',
    'claims',
    'each principal with each path',
    'each principal with each host and path',
  ]
  for (const shape of shapes) {
    expected.push(`${shape}, 100 policies, requests that match`, `${shape}, 100 policies, requests that match none`)
  }
  expected.push('building the facts of a parsed request')
  const found = new Set(report.rows.map(({ what }) => what))
  assert.deepEqual(
    expected.filter((what) => !found.has(what)),
    [],
  )
  for (const peer of ['grpc-js-xds', 'cedar-wasm', 'opa-wasm', 'node-casbin', 'Envoy']) assertPeer(report, peer)
})

test('a load is measured by stage, in time and memory, beside the library alone', async () => {
  const report = await quick('load')
  assertRows(report, ['ms', 'MB'])
  const stages = report.rows.map(({ what }) => what.split(': ')[1])
  for (const stage of ['parse', 'load', 'validate', 'attach', 'lower', 'compile', 'from text to 10 deciders', 'heap']) {
    assert.ok(stages.includes(stage), stage)
  }
  for (const peer of ['yaml, to JavaScript', 'yaml, its CST only']) assertPeer(report, peer)
})

test('both forms of the translation to Envoy are measured on it, by shape', async () => {
  const report = await quick('envoy')
  assertPeer(report, 'rules')
  for (const { ours, theirs, unit } of report.rows) {
    assert.ok(ours > 0 && Number(theirs) > 0)
    assert.equal(unit, 'req/s')
  }
})

test('tokens are measured known and unknown, beside the core, and during a flood', async () => {
  const report = await quick('jwt')
  assertRows(report, ['us'])
  for (const what of ['a request without a token', 'a known token, 1 token known', 'a known token, 50 tokens known']) {
    assert.ok(
      report.rows.some((row) => row.what === what),
      what,
    )
  }
  for (const peer of [
    "the core's RSA verification",
    "the core's RSA verification, in the pool",
    'jose',
    'without a flood',
  ])
    assertPeer(report, peer)
})

test('the authorizer is measured beside grpc-go, grpc-js and OPA, which decide alike', async () => {
  const { rows, notes } = await quick('authorizer')
  if (rows.length === 0) {
    assert.ok(notes.some((note) => note.includes('h2load is not installed')) && (process.env.CI ?? '') === '')
    return
  }
  for (const { ours, theirs = 1, unit, ratio } of rows) {
    assert.ok(ours > 0 && theirs > 0 && ['checks/s', 'ms', 'MB'].includes(unit))
    if (ratio !== undefined) {
      const more = unit === 'checks/s' ? ours / theirs : theirs / ours
      assert.ok(Math.abs(more / ratio - 1) < 0.02, `${ours} and ${theirs} are ${ratio}`)
    }
  }
  for (const peer of ['grpc-go', 'grpc-js', 'OPA in grpc-go']) assertPeer({ rows, notes }, peer)
})
