import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Trace, TracedField } from '../../tools/trace.ts'
import { root, sallyport } from '../terminal.test.fixture.ts'

const FRONTEND = { principal: 'cluster.local/ns/default/sa/frontend' }
const OTHER = { principal: 'cluster.local/ns/default/sa/other' }
const BACKEND = ['workloads.yaml', 'addresses.yaml']

async function explain(files: readonly string[], workload: string, request: object, format = 'json'): Promise<string> {
  const paths = files.flatMap((file) => ['-f', `examples/${file}`])
  const argv = ['explain', ...paths, '--workload', workload, '--request', '-', '-o', format]
  const { code, stdout, stderr } = await sallyport(argv, { stdin: JSON.stringify(request) })
  assert.equal(code, 0, stderr)
  return stdout
}

function backend(policies: readonly string[], request: object, format?: string): Promise<string> {
  const files = [...BACKEND, ...policies].map((file) => `frontend-backend/${file}`)
  return explain(files, 'default/backend', request, format)
}

/** The text at the place that a trace names. */
function at({ file, line, column }: Pick<TracedField, 'file' | 'line' | 'column'>): string {
  const text = readFileSync(join(root, file), 'utf8').split('\n')[line - 1] ?? ''
  return text.slice(column - 1)
}

test('frontend and backend: who may do what, row by row', async () => {
  const requests = [
    { source: FRONTEND, method: 'GET', path: '/api/v1/data' },
    { source: FRONTEND, method: 'POST', path: '/api/v1/data' },
    { source: FRONTEND, method: 'GET', path: '/api/v1/other' },
    { source: OTHER, method: 'GET', path: '/api/v1/data' },
    { method: 'GET', path: '/api/v1/data' },
  ]
  const rows: readonly (readonly [readonly string[], readonly (number | null)[]])[] = [
    [[], [200, 200, 200, 200, 200]],
    [['strict.yaml'], [200, 200, 200, 200, null]],
    [['deny-all.yaml'], [403, 403, 403, 403, 403]],
    [
      ['deny-all.yaml', 'allow-get-data.yaml'],
      [403, 403, 403, 403, 403],
    ],
    [
      ['allow-nothing.yaml', 'allow-get-data.yaml'],
      [200, 403, 403, 403, 403],
    ],
  ]
  for (const [files, expected] of rows) {
    const statuses = await Promise.all(requests.map(async (one) => JSON.parse(await backend(files, one)).status))
    assert.deepEqual(statuses, expected, files.join(' '))
  }
})

test('frontend and backend: the first field that failed, with what it expected and where it stands', async () => {
  const files = ['allow-nothing.yaml', 'allow-get-data.yaml']
  const cases: readonly (readonly [object, string, unknown, unknown, string])[] = [
    [
      { source: FRONTEND, method: 'POST', path: '/api/v1/data' },
      'methods',
      { anyOf: ['GET'] },
      'POST',
      'methods: [GET]',
    ],
    [{ source: FRONTEND, path: '/other' }, 'paths', { anyOf: ['/api/v1/data'] }, '/other', 'paths: [/api/v1/data]'],
    [
      { source: OTHER, path: '/api/v1/data' },
      'principals',
      { anyOf: [FRONTEND.principal] },
      OTHER.principal,
      'principals: [cluster.local',
    ],
    [{ path: '/api/v1/data' }, 'principals', { anyOf: [FRONTEND.principal] }, null, 'principals: [cluster.local'],
  ]
  for (const [request, field, expected, actual, text] of cases) {
    const { phase, policy, trace } = JSON.parse(await backend(files, request)) as {
      trace: Trace
      [key: string]: unknown
    }
    assert.deepEqual([phase, policy], ['allow', 'none'])
    assert.deepEqual(
      trace.policies.map((one) => [one.policy, one.action, one.reached, one.matched, one.rules.length]),
      [
        ['default/allow-frontend-get-data', 'ALLOW', true, false, 1],
        ['default/allow-nothing', 'ALLOW', true, false, 0],
      ],
    )
    const [first] = trace.policies
    assert.ok(first?.rules[0] !== undefined)
    assert.match(at(first), /^name: allow-frontend-get-data/)
    assert.match(at({ ...first.rules[0], file: first.file }), /^(?:- )?from:/)
    const [failed] = first.rules[0].failed
    assert.ok(failed !== undefined)
    assert.deepEqual([failed.field, failed.expected, failed.actual], [field, expected, actual])
    assert.ok(at(failed).startsWith(text), `${failed.file}:${failed.line}:${failed.column} is ${at(failed)}`)
  }
})

test('frontend and backend: what a DENY rule hides is shown, and not as reached', async () => {
  const request = { source: FRONTEND, method: 'POST', path: '/api/v1/data' }
  const text = await backend(['deny-all.yaml', 'allow-get-data.yaml'], request, 'text')
  assert.match(text, /^DENY 403 {2}POST \/api\/v1\/data {2}from cluster\.local\/ns\/default\/sa\/frontend$/m)
  assert.match(text, /^ {2}a DENY rule matches: ns\[default\]-policy\[deny-all-backend\]-rule\[0\]$/m)
  assert.match(text, /^ {2}ALLOW default\/allow-frontend-get-data .* not reached$/m)
  assert.match(
    text,
    /^ {4}rule\[0\] does not match: methods needs "GET"; the request has "POST" .*allow-get-data\.yaml:\d+:\d+$/m,
  )
  const strict = JSON.parse(await backend(['strict.yaml', 'deny-all.yaml'], { path: '/' })) as { trace: Trace }
  const [hidden] = strict.trace.policies
  assert.deepEqual([hidden?.reached, hidden?.matched, hidden?.rules[0]?.matched], [false, null, null])
})

test('opa: every path but one is delegated', async () => {
  const ask = async (request: object) => JSON.parse(await explain(['opa'], 'default/httpbin-with-opa', request))
  const ip = await ask({ path: '/ip' })
  assert.equal(ip.decision, 'allow')
  const [rule] = ip.trace.policies[0].rules
  assert.deepEqual(
    [rule.matched, rule.failed[0].field, rule.failed[0].expected, rule.failed[0].actual],
    [false, 'notPaths', { noneOf: ['/ip'] }, '/ip'],
  )
  assert.match(at(rule.failed[0]), /^notPaths: \["\/ip"\]/)
  const headers = await ask({ path: '/headers' })
  assert.deepEqual([headers.decision, headers.provider, headers.trace.policies[0].matched], ['ask', 'opa.local', true])
  const text = await explain(['opa'], 'default/httpbin-with-opa', { path: '/headers' }, 'text')
  assert.match(
    text,
    /^ASK {2}GET \/headers .*\n {2}the provider `opa\.local` decides; give its answer under `providers`/,
  )
})

test('delegated: the token, the provider and the policy, in their order', async () => {
  const ask = async (request: object) => JSON.parse(await explain(['delegated'], 'default/user-service', request))
  const users = { path: '/api/v1/users', claims: { iss: 'https://my-auth-provider.example', sub: 'u' } }
  const allowed = await ask({ ...users, providers: { delegated: { allow: true } } })
  assert.deepEqual([allowed.decision, allowed.status], ['allow', 200])
  assert.deepEqual(
    allowed.trace.policies.map((one: { policy: string; matched: boolean }) => [one.policy, one.matched]),
    [
      ['default/ask-ext-authz', true],
      ['default/authz-users', true],
    ],
  )
  const refused = await ask({ ...users, providers: { delegated: { allow: false } } })
  assert.deepEqual(
    [refused.phase, refused.details, refused.trace.policies[1].reached],
    ['custom', 'ext_authz_denied', false],
  )
  const foreign = { path: '/api/v1/users', headers: [['authorization', 'Bearer a.b.c']] }
  const bad = await ask({ ...foreign, providers: { delegated: { allow: true } } })
  assert.deepEqual([bad.phase, bad.status, bad.policy], ['authn', 401, null])
  assert.match(bad.details, /^jwt_authn_access_denied\{/)
})

test('jsonl has no trace', async () => {
  const line = await explain(['opa'], 'default/httpbin-with-opa', { path: '/ip' }, 'jsonl')
  assert.ok(!('trace' in JSON.parse(line)))
})
