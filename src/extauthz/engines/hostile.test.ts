import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { normalizePath } from '../../match/request-path.ts'
import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import { createEngine } from './engine.ts'
import { engineTests, judgeOf, peer } from './engines.test.fixture.ts'

const { folder, logged, logger } = engineTests()

const policies = folder.write(
  'policies.yaml',
  `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: default }
spec: { rules: [{ to: [{ operation: { paths: ["/public", "/public/*"] } }] }, { when: [{ key: "request.headers[x-a]", values: [never] }] }] }
`,
)

/** Each lets `/public` pass, and what is below it; each looks at whatever else it can. */
const engines: readonly AuthorizerEngine[] = [
  {
    ...{ kind: 'istio', paths: [policies], namespace: 'default' },
    workload: { kind: 'named', name: 'web', labels: {} },
  },
  {
    ...{ kind: 'cel', tokens: [] },
    path: folder.write(
      'policy.cel',
      `(request.url_path == '/public' || request.url_path.startsWith('/public/')) && request.headers.all(h, h != '') &&
request.parameters.all(p, p != 'never') && request.host != 'never' && has(source.address)`,
    ),
  },
  {
    ...{ kind: 'cedar', entities: null, schema: null, tokens: [], principal: 'source' },
    policies: folder.write(
      'policy.cedar',
      `permit (principal, action, resource in Resource::"/public") unless
{ context.headers has never || context.query has never || context.host == "never" || context.source has never };`,
    ),
  },
]

const part = fc.constantFrom(
  ...['/', '//', 'public', '..', '.', '%2e', '%2E%2e', '%2f', '%5c', '\\', ';', ';a=b', '%00', '%', '%6', 'admin', 'a'],
  ...['?', '#', '&', '=', '__proto__', '__entity', 'é', '\u0000', '\r\n', ' ', '*', '%61'],
)
const path = fc.oneof(
  fc.array(part, { maxLength: 12 }).map((parts) => `/public/${parts.join('')}`),
  fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
)
const text = fc.oneof(fc.string(), fc.constantFrom('', '__proto__', '__entity', 'constructor', 'a,b', 'Bearer a.b.c'))

for (const engine of engines) {
  test(`no request makes it fail, and none passes by a path that may lead elsewhere: ${engine.kind}`, async () => {
    const { ask } = judgeOf(await createEngine(engine, { logger }).load(), logger)
    const isPublic = (target: string) => /^\/public(?:\/|$)/.test(target.replace(/[?#].*$/s, ''))
    let allowed = 0
    await fc.assert(
      fc.asyncProperty(
        path,
        text,
        fc.dictionary(text, text, { maxKeys: 5 }),
        text,
        async (path, host, headers, who) => {
          logged.length = 0
          const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
          const verdict = await ask({ path, host, headers: lower, source: peer(who) })
          assert.deepEqual(
            logged.filter(({ level }) => level === 'error'),
            [],
          )
          if (verdict.kind === 'deny') return
          allowed++
          const normalized = normalizePath(path, 'BASE')
          assert.ok(isPublic(path), path)
          assert.ok(normalized.kind === 'path' && isPublic(normalized.path), path)
        },
      ),
      { numRuns: 1500, seed: 7 },
    )
    assert.ok(allowed > 50, `only ${allowed} were allowed`)
  })
}
