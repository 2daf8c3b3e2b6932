import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { loadModule } from '#src/extauthz/engines/module.ts'
import { requestFrom } from '#src/extauthz/server/request.ts'
import { type Claims, secretToken } from '../scenarios/token.ts'
import { peer } from './peers.ts'

const found = peer('opa')
const example = fileURLToPath(new URL('../../../examples/opa/', import.meta.url))

interface Case {
  readonly name: string
  readonly path: string
  readonly authorization?: string
  readonly allowed: boolean
}

const now = Math.floor(Date.now() / 1000)
const claims: Claims = { path: Buffer.from('/headers').toString('base64'), nbf: now - 60, exp: now + 3600 }
const bearer = (change: Claims = {}, secret = 'secret') => `Bearer ${secretToken({ ...claims, ...change }, secret)}`
const unsigned = `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${bearer().split('.')[1]}.`

const cases: readonly Case[] = [
  { name: '/headers without a token', path: '/headers', allowed: false },
  { name: '/get with the token', path: '/get', authorization: bearer(), allowed: false },
  { name: '/headers with the token', path: '/headers', authorization: bearer(), allowed: true },
  { name: '/ip without a token', path: '/ip', allowed: false },
  { name: 'below the path', path: '/headers/a?b=c', authorization: bearer(), allowed: true },
  { name: 'a token that is over', path: '/headers', authorization: bearer({ exp: now - 1 }), allowed: false },
  { name: 'a token of the future', path: '/headers', authorization: bearer({ nbf: now + 60 }), allowed: false },
  { name: 'a token without nbf', path: '/headers', authorization: bearer({ nbf: undefined }), allowed: false },
  { name: 'a token without exp', path: '/headers', authorization: bearer({ exp: undefined }), allowed: false },
  { name: 'a token without a path', path: '/headers', authorization: bearer({ path: undefined }), allowed: false },
  { name: 'another secret', path: '/headers', authorization: bearer({}, 'another'), allowed: false },
  { name: 'an unsigned token', path: '/headers', authorization: unsigned, allowed: false },
  { name: 'no token at all', path: '/headers', authorization: 'Bearer', allowed: false },
  { name: 'the text of no token', path: '/headers', authorization: 'Bearer a.b.c', allowed: false },
]

test('the TypeScript policy and the Rego policy in real OPA answer alike', {
  skip: 'skip' in found ? found.skip : false,
}, async () => {
  const expected = cases.map(({ name, allowed }) => [name, allowed])
  assert.deepEqual(named(await askOpa('path' in found ? found.path : '')), expected)
  assert.deepEqual(named(await askModule()), expected)
})

function named(answers: readonly unknown[]): [string, unknown][] {
  assert.equal(answers.length, cases.length)
  return cases.map(({ name }, index) => [name, answers[index]])
}

/** One evaluation for all, each as Envoy's plug-in would put it. */
async function askOpa(opa: string): Promise<unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  try {
    const inputs = cases.map(({ path, authorization }) => {
      const headers = { ':path': path, ...(authorization === undefined ? {} : { authorization }) }
      return { attributes: { request: { http: { method: 'GET', path, headers } } } }
    })
    const data = join(folder, 'inputs.json')
    writeFileSync(data, JSON.stringify({ inputs }))
    const query = '[allow | some i; input_i := data.inputs[i]; allow := data.envoy.authz.allow with input as input_i]'
    const args = ['eval', '--format', 'raw', '--data', join(example, 'policy.rego'), '--data', data, query]
    const { stdout } = await promisify(execFile)(opa, args, { timeout: 20_000 })
    return JSON.parse(stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function askModule(): Promise<unknown[]> {
  const loaded = await loadModule(join(example, 'authorizer.ts'))
  assert.ok(loaded.kind === 'loaded', JSON.stringify(loaded))
  const { checks } = loaded
  const nobody = { ip: '127.0.0.1', port: 0, principal: '' }
  const answers = cases.map(({ path, authorization }) =>
    checks.check(
      requestFrom({
        method: 'GET',
        path,
        host: 'httpbin-with-opa:8000',
        scheme: 'http',
        protocol: 'HTTP/1.1',
        lines: authorization === undefined ? [] : [['authorization', authorization]],
        body: new Uint8Array(),
        source: nobody,
        destination: nobody,
        contextExtensions: {},
        time: Date.now(),
        attributes: () => ({}),
        signal: new AbortController().signal,
      }),
    ),
  )
  return (await Promise.all(answers)).map(({ kind }) => kind === 'allow')
}
