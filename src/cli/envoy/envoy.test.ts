import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { createDevelopmentCa } from '../../authn/certificate-authority.ts'
import { folderOf, sallyport } from '../terminal.test.fixture.ts'
import { printYaml } from './yaml.ts'

const base = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } } } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: foo }
spec: { mtls: { mode: DISABLE } }
`

const policy = (name: string, rule: string, action = 'ALLOW') => `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: foo }
spec: { action: ${action}, rules: [${rule}] }
`
const paths = (count: number, path: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => policy(`p${i}`, `{ to: [{ operation: { paths: ["${path(i)}"] } }] }`)).join(
    '',
  )

const envoy = (cwd: string, ...words: string[]) =>
  sallyport(['envoy', '-f', 'mesh.yaml', '--workload', 'foo/web', ...words], { cwd, env: { HOME: cwd } })

test('YAML and JSON are the same configuration, and YAML says what became of each filter', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base + paths(20, (i) => `/r${i}`) + policy('d', '{}', 'DENY') })
  const [yaml, json] = [await envoy(cwd), await envoy(cwd, '-o', 'json')]
  assert.deepEqual([yaml.code, yaml.stderr, json.code, json.stderr], [0, '', 0, ''])
  assert.deepEqual(parse(yaml.stdout), JSON.parse(json.stdout))
  const comment = yaml.stdout.split('\n').filter((line) => line.startsWith('#'))
  assert.deepEqual(comment, [
    '# Envoy in front of foo/web, by sallyport envoy',
    '# RBAC filters:',
    '#   DENY for HTTP: 1 rule, a list',
    '#   ALLOW for HTTP in plaintext: 20 rules, a tree by path; 1 at most are walked',
    '#   DENY for TCP: 1 rule, a list',
    '#   ALLOW for TCP: 0 rules, a list',
  ])
})

test('what stays a long list is said, and --rbac rules has no tree', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base + paths(20, (i) => `*/r${i}`) })
  const { code, stderr } = await envoy(cwd)
  assert.equal(code, 0)
  assert.match(stderr, /^note: the ALLOW filter for HTTP stays a list of 20 rules: no path, host/)
  const rules = await envoy(folderOf(t, { 'mesh.yaml': base + paths(20, (i) => `/r${i}`) }), '--rbac', 'rules')
  assert.deepEqual([rules.stdout.includes('xds_matcher'), rules.stdout.includes('/r19')], [false, true])
})

test('what Envoy would refuse is an error at its place, with nothing printed', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base + policy('p', '{ when: [{ key: "request.headers[]", values: [a] }] }') })
  const { code, stdout, stderr } = await envoy(cwd)
  assert.deepEqual([code, stdout], [3, ''])
  assert.match(
    stderr,
    /mesh\.yaml:19:43: error: Envoy refuses the policy foo\/p: the name of the header is empty \[SP601\]/,
  )
})

test('a policy that Istio refuses is reported, and translated as it would act', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base + policy('p', '{ when: [{ key: nonsense, values: [a] }] }') })
  const { code, stdout, stderr } = await envoy(cwd, '-o', 'json')
  assert.equal(code, 0)
  assert.match(stderr, /SP215/)
  assert.ok(stdout.includes('"rules": {}'), 'an ALLOW filter without rules')
})

test('without an own certificate one is made for a day, under the development CA', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base.replace('DISABLE', 'STRICT') })
  const { code, stdout, stderr } = await envoy(cwd, '--ca-dir', 'ca', '-o', 'json')
  assert.equal(code, 0)
  assert.match(
    stderr,
    /note: a development certificate of spiffe:\/\/cluster\.local\/ns\/foo\/sa\/default, good for a day/,
  )
  const [own, roots] = JSON.parse(stdout).static_resources.secrets
  const { certificate_chain, private_key } = own.tls_certificate
  const certificate = new X509Certificate(readFileSync(certificate_chain.filename))
  assert.equal(certificate.subjectAltName, 'URI:spiffe://cluster.local/ns/foo/sa/default')
  assert.equal(statSync(private_key.filename).mode & 0o777, 0o600)
  const root = roots.validation_context.trusted_ca.filename
  assert.equal(root, join(cwd, 'ca/cluster.local/root-cert.pem'))
  assert.ok(certificate.verify(new X509Certificate(readFileSync(root)).publicKey))
})

test('a certificate that does not fit its key is found before Envoy sees it', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
  const [one, other] = ['a', 'b'].map((serviceAccount) => ca.issue({ namespace: 'foo', serviceAccount }))
  assert.ok(one && other)
  const files = { 'c.pem': one.chain, 'k.pem': one.key, 'other.pem': other.key, 'ca.pem': ca.root }
  const cwd = folderOf(t, { 'mesh.yaml': base.replace('DISABLE', 'STRICT'), ...files })
  const good = await envoy(cwd, '--cert', 'c.pem', '--key', 'k.pem', '--ca', 'ca.pem')
  assert.deepEqual([good.code, good.stderr], [0, ''])
  const bad = await envoy(cwd, '--cert', 'c.pem', '--key', 'other.pem', '--ca', 'ca.pem')
  assert.deepEqual([bad.code, bad.stdout], [3, ''])
  assert.match(bad.stderr, /Envoy could not use the certificate: .*other\.pem/)
  assert.ok(!bad.stderr.includes('PRIVATE KEY'))
  assert.equal((await envoy(cwd, '--cert', 'c.pem')).code, 2)
})

test('ports are chosen, added and placed', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base })
  const listeners = async (...words: string[]) => {
    const { code, stdout, stderr } = await envoy(cwd, '-o', 'json', ...words)
    assert.equal(code, 0, stderr)
    const { listeners } = JSON.parse(stdout).static_resources
    return listeners.map((one: { name: string; filter_chains: { name: string }[] }) => [
      one.name,
      ...one.filter_chains.map(({ name }) => name).filter((name) => !name.startsWith('virtual')),
    ])
  }
  assert.deepEqual(await listeners(), [['virtualInbound', '0.0.0.0_8080']])
  assert.deepEqual(await listeners('--port', '9000/tcp'), [['virtualInbound', '0.0.0.0_9000']])
  assert.deepEqual(await listeners('--app', '127.0.0.1:3000'), [['0.0.0.0_8080', '0.0.0.0_8080']])
  const placed = ['--listen', '8080=127.0.0.1:18080', '--app', 'unix:/run/app']
  assert.deepEqual(await listeners(...placed), [['127.0.0.1_8080', '127.0.0.1_8080']])
})

test('a wrong command line is a usage error that says what to write', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': base })
  for (const [words, message] of [
    [['--port', '0'], /--port: `0` is no port/],
    [['--port', '80/quic'], /`quic` is no protocol\n {2}there are: http/],
    [['--host', 'web'], /--host is for waypoints/],
    [['--listen', '8080=127.0.0.1:1'], /add --app HOST:PORT/],
    [['--admin', 'x'], /--admin: `x` is no port/],
    [['--rbac', 'tree'], /one of matcher, rules/],
  ] as const) {
    const { code, stderr } = await envoy(cwd, ...words)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
  }
  const { code, stderr } = await sallyport(['envoy', '-f', 'mesh.yaml'], { cwd })
  assert.deepEqual([code, stderr.includes('no workload')], [2, true])
  const looped = await envoy(cwd, '--listen', '8080=127.0.0.1:3000', '--app', '127.0.0.1:3000')
  assert.deepEqual([looped.code, looped.stderr.includes('SP504')], [3, true])
  assert.ok(!existsSync(join(cwd, '.local')))
})

test('printed YAML is read as what was printed', () => {
  const value = {
    words: [
      'yes',
      'No',
      'null',
      '~',
      'y',
      '1',
      '1e3',
      '0x1',
      '-',
      '- a',
      'a: b',
      'a #b',
      '',
      ' a',
      '@a',
      '*',
      '2020-01-01',
    ],
    text: 'a\nb\t"\\\u0000\u007f\u2028\u00e9\ud83d\ude00',
    'odd key: #': { '@type': 'x/y', 'ns[foo]-policy[p]-rule[0]': { any: true } },
    nested: [[1, [2]], [{ a: [], b: {}, c: [{ d: 1, e: [false, null] }] }]],
    left: undefined,
    end: -1.5,
  }
  assert.deepEqual(parse(printYaml(value)), JSON.parse(JSON.stringify(value)))
})

test('a workload whose Delegation Envoy cannot be told of gets no configuration', async () => {
  const { stdout, stderr, code } = await sallyport(['envoy', '-f', 'examples/beyond', '--workload', 'default/orders'])
  assert.deepEqual([stdout, code], ['', 3])
  assert.match(stderr, /delegation\.yaml:4:13: error: .* cannot be given to Envoy: .* would pass \[SP607\]/)
})
