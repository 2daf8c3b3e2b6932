import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folderOf, sallyport } from '../terminal.test.fixture.ts'

const BEYOND = ['-f', `${process.cwd()}/examples/beyond`, '--workload', 'default/orders']
const ANN = { iss: 'https://issuer.example', sub: 'ann', tenants: ['a'] }
const ORDERS = { path: '/orders?tenant=a', claims: ANN }

async function explain(request: object, format = 'json', files = BEYOND) {
  const argv = ['explain', ...files, '--request', '-', '-o', format]
  const { code, stdout, stderr } = await sallyport(argv, { stdin: JSON.stringify(request) })
  assert.equal(code, 0, stderr)
  return { stdout, stderr }
}

async function decide(providers: object | undefined, request: object = ORDERS) {
  const { stdout } = await explain({ ...request, ...(providers === undefined ? {} : { providers }) })
  const { decision, status, phase, policy, details, provider, delegation, trace } = JSON.parse(stdout)
  return { told: [decision, status, phase, policy, details, provider, delegation], trace }
}

const [yes, no, gone] = [{ allow: true }, { allow: false, status: 401 }, { error: 'unavailable' }]
const who = 'default/orders'

test('answers that the request brings decide; without one it is asked, unless a later phase denies anyway', async () => {
  const rows: readonly (readonly [object | undefined, readonly unknown[]])[] = [
    [{ roles: yes, risk: yes }, ['allow', 200, 'none', null, null, 'risk', undefined]],
    [{ roles: no, risk: yes }, ['deny', 401, 'custom', null, 'ext_authz_denied', 'roles', who]],
    [{ roles: yes, risk: no }, ['deny', 401, 'custom', null, 'ext_authz_denied', 'risk', who]],
    [
      { roles: { allow: false, status: 429 }, risk: no },
      ['deny', 429, 'custom', null, 'ext_authz_denied', 'roles', who],
    ],
    [{ roles: gone, risk: yes }, ['deny', 403, 'custom', null, 'ext_authz_error', 'roles', who]],
    // It fails open.
    [{ roles: yes, risk: gone }, ['allow', 200, 'none', null, null, 'risk', undefined]],
    [undefined, ['ask', null, 'custom', null, null, 'roles', undefined]],
    [{ roles: yes }, ['ask', null, 'custom', null, null, 'risk', undefined]],
    [{ risk: no }, ['deny', 401, 'custom', null, 'ext_authz_denied', 'risk', who]],
    // What a shadow says is no decision, and it is not missed.
    [{ roles: yes, risk: yes, 'roles-next': no }, ['allow', 200, 'none', null, null, 'risk', undefined]],
  ]
  for (const [providers, expected] of rows) {
    assert.deepEqual((await decide(providers)).told, expected, JSON.stringify(providers))
  }
  // No rule matches without a token, so that nobody is asked, and the ALLOW policy denies.
  assert.deepEqual((await decide(undefined, { path: '/orders' })).told.slice(0, 4), ['deny', 403, 'allow', 'none'])
  const anonymous = await decide(undefined, { path: '/health' })
  assert.deepEqual(anonymous.told, ['allow', 200, 'none', null, null, undefined, undefined])
})

test('the trace has the Delegation behind CUSTOM policies and before the others, with its rules', async () => {
  const { trace } = await decide({ roles: no, risk: yes })
  const [delegation, allow] = trace.policies
  assert.deepEqual(
    [delegation.policy, delegation.action, delegation.delegation, delegation.reached, delegation.matched],
    [
      who,
      'CUSTOM',
      {
        order: 'atOnce',
        providers: [
          { name: 'roles', mode: 'enforce' },
          { name: 'risk', mode: 'enforce' },
          { name: 'roles-next', mode: 'shadow' },
        ],
      },
      true,
      true,
    ],
  )
  assert.match(delegation.file, /delegation\.yaml$/)
  assert.equal(delegation.line, 4)
  assert.deepEqual([allow.action, allow.reached, allow.matched], ['ALLOW', false, null])
  const other = (await decide(undefined, { path: '/health', claims: ANN })).trace.policies[0]
  assert.deepEqual(
    other.rules.map(({ id, matched, line }: Record<string, unknown>) => [id, matched, line]),
    [['sallyport-delegation-ns[default]-policy[orders]-rule[0]', false, 10]],
  )
  assert.deepEqual(other.rules[0].failed[0].expected, { anyOf: ['/orders', '/orders/*'] })
  assert.equal(other.rules[0].failed[0].line, 13)
})

test('a token that does not verify is refused before anybody is asked', async () => {
  const { told, trace } = await decide(
    { roles: yes, risk: yes },
    { path: '/orders', headers: [['authorization', 'Bearer a.b.c']] },
  )
  assert.deepEqual(told.slice(0, 3), ['deny', 401, 'authn'])
  assert.deepEqual([trace.policies[0].reached, trace.policies[0].matched], [false, null])
})

test('for people: who refuses, and whom the Delegation asks', async () => {
  const { stdout } = await explain({ ...ORDERS, providers: { roles: no, risk: yes } }, 'text')
  assert.match(stdout, /^DENY 401 .*\n {2}the provider `roles` refuses it; the Delegation default\/orders asks it$/m)
  assert.match(stdout, /^ {2}Delegation default\/orders .*delegation\.yaml:4$/m)
  assert.match(stdout, /^ {4}asks roles, risk, roles-next \(in shadow\) at once where a rule matches$/m)
  assert.match(stdout, /^ {4}rule\[0\] matches$/m)
})

test('a Delegation without rules asks about everything, and one that names nobody real refuses', async (t) => {
  const cwd = folderOf(t, {
    'a.yaml': `apiVersion: v1
kind: Pod
metadata: { name: web, namespace: foo, labels: { app: web } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
---
apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata: { name: all, namespace: foo }
spec: { providers: [{ name: nobody }] }
`,
  })
  const files = ['-f', `${cwd}/a.yaml`, '--workload', 'foo/web']
  const { stdout, stderr } = await explain({ path: '/' }, 'text', files)
  assert.match(stderr, /there is no provider `nobody`: loaded all the same, .* are refused \[SP304\]/)
  assert.match(stdout, /^DENY 403 .*\n {2}the provider `nobody` cannot be asked \(ext_authz_error\)/m)
  assert.match(stdout, /asks nobody about every request$/m)
  const tcp = await explain({ destination: { port: 80 } }, 'json', files)
  assert.deepEqual([JSON.parse(tcp.stdout).decision, JSON.parse(tcp.stdout).phase], ['deny', 'custom'])
})
