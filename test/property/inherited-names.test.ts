import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { validateMesh } from '#src/mesh/validate.ts'
import { parseSource } from '#src/source/parse.ts'
import { analyze } from '#src/tools/analyze/analyze.ts'
import { createExplainer } from '#src/tools/explain.ts'
import { isProblem, parseRequest } from '#src/tools/request.ts'

// Names that every JavaScript object has, where users write names of their own.
const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']

function load(text: string) {
  const parsed = parseSource('a.yaml', text)
  const { mesh, diagnostics } = loadMesh(parsed.documents)
  const all = [...parsed.diagnostics, ...diagnostics, ...validateMesh(mesh), ...analyze(mesh)]
  return { mesh, diagnostics: all.map(({ code, line, column, message }) => `${code} ${line}:${column} ${message}`) }
}

function pod(name: string, labels: string): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: foo, labels: { ${labels} } }\n---\n`
}

function policy(name: string, spec: string): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: foo }\nspec: ${spec}\n---\n`
}

async function decide(text: string, workload: string, request: object): Promise<string> {
  const { mesh, diagnostics } = load(text)
  assert.deepEqual(
    diagnostics.filter((one) => !one.startsWith('SP403')),
    [],
  )
  const target = mesh.workloads.get(`foo/${workload}`) ?? assert.fail()
  const keys = createOfflineKeySource(new Map())
  const explainer = createExplainer({ mesh, workload: target, port: 80, now: Date.now, ask: null, keys })
  const parsed = parseRequest(JSON.stringify({ method: 'GET', path: '/', ...request }))
  if (isProblem(parsed)) assert.fail(parsed.message)
  const answer = await explainer.explain(parsed, { trace: false })
  if (isProblem(answer)) assert.fail(answer.message)
  return answer.decision.decision
}

for (const name of names) {
  test(`\`${name}\` as a label, a header, a claim and a namespace is a name like others`, async () => {
    const selected =
      pod('with', `${name}: "a"`) +
      pod('without', 'other: "a"') +
      policy('p', `{ selector: { matchLabels: { ${name}: "a" } }, action: DENY, rules: [{}] }`)
    assert.equal(await decide(selected, 'with', {}), 'deny')
    assert.equal(await decide(selected, 'without', {}), 'allow')

    const when = (key: string) =>
      pod('w', 'app: "w"') + policy('p', `{ rules: [{ when: [{ key: "${key}", values: ["*"] }] }] }`)
    assert.equal(await decide(when(`request.headers[${name}]`), 'w', { headers: [[name, 'x']] }), 'allow')
    assert.equal(await decide(when(`request.headers[${name}]`), 'w', {}), 'deny')
    const claims = JSON.parse(`{ "iss": "i", "sub": "s", "${name}": "x" }`) as object
    assert.equal(await decide(when(`request.auth.claims[${name}]`), 'w', { claims }), 'allow')
    assert.equal(await decide(when(`request.auth.claims[${name}]`), 'w', { claims: { iss: 'i', sub: 's' } }), 'deny')
    assert.equal(await decide(when(`request.auth.claims[iss][${name}]`), 'w', { claims: { iss: 'i' } }), 'deny')

    const from = pod('w', 'app: "w"') + policy('p', `{ rules: [{ from: [{ source: { namespaces: [${name}] } }] }] }`)
    const source = { principal: `cluster.local/ns/${name}/sa/s` }
    assert.equal(await decide(from, 'w', { source }), 'allow')
    assert.equal(await decide(from, 'w', {}), 'deny')
  })

  test(`\`${name}\` is no field, no kind, no provider, no mode and no key of a condition`, () => {
    const { diagnostics } = load(
      [
        policy(
          'p',
          `{ ${name}: 1, action: CUSTOM, provider: { name: ${name} }, rules: [{ when: [{ key: ${name}, values: [a] }] }] }`,
        ),
        `apiVersion: security.istio.io/v1\nkind: ${name}\nmetadata: { name: a }\n---\n`,
        `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: a }\nspec: { mtls: { mode: ${name} } }\n`,
      ].join(''),
    )
    const codes = diagnostics.map((one) => one.replace(/^(SP\d+ \d+):.*/, '$1'))
    assert.deepEqual(codes.sort(), ['SP102 7', 'SP103 4', 'SP106 13', 'SP215 4', 'SP301 4'])
  })
}
