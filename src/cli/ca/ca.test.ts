import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Answer, folderOf, program, sallyport } from '../terminal.test.fixture.ts'

const openssl = spawnSync('openssl', ['version']).error === undefined
const needsOpenssl = { skip: openssl ? false : 'openssl is not installed' }
const roots = (text: string) => text.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0

async function refused(answer: Promise<Answer>, code: number, expected: RegExp): Promise<void> {
  const { stdout, stderr, code: actual } = await answer
  assert.match(stderr, expected)
  assert.doesNotMatch(stderr, /internal error:/)
  assert.deepEqual([stdout, actual], ['', code], stderr)
}

test('ca prints the root that it makes, and says loudly what it is not', async (t) => {
  const cwd = folderOf(t, {})
  const first = await program(['ca', '--ca-dir', 'ca'], { cwd })
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stderr, /^warning: this is a development CA, not one for production/m)
  assert.match(new X509Certificate(first.stdout).subject, /^O=cluster\.local\nCN=Sallyport development root$/)
  const folder = join(cwd, 'ca/cluster.local')
  assert.equal(statSync(join(folder, 'root-key.pem')).mode & 0o777, 0o600)
  assert.equal((await program(['ca', 'show', '--ca-dir', 'ca'], { cwd })).stdout, first.stdout)
  const other = await program(['ca', '--ca-dir', 'ca', '--trust-domain', 'td2'], { cwd })
  assert.notEqual(other.stdout, first.stdout)
  assert.doesNotMatch(first.stdout + first.stderr + other.stdout + other.stderr, /PRIVATE/)
})

test('without --ca-dir it is the CA of `up`', async (t) => {
  const cwd = folderOf(t, {})
  await sallyport(['ca'], { cwd, env: { HOME: cwd } })
  assert.deepEqual(readdirSync(join(cwd, '.local/share/sallyport/ca')), ['cluster.local'])
})

test('ca issue writes what openssl accepts from a workload', needsOpenssl, async (t) => {
  const cwd = folderOf(t, {})
  const issue = ['ca', 'issue', '--ca-dir', 'ca', '-n', 'foo', '--service-account', 'web', '--ttl', '2h']
  const { code, stdout, stderr } = await program(issue, { cwd })
  assert.equal(code, 0, stderr)
  assert.deepEqual(stdout.split('\n'), ['foo-web/cert-chain.pem', 'foo-web/key.pem', 'foo-web/root-cert.pem', ''])
  const leaf = new X509Certificate(readFileSync(join(cwd, 'foo-web/cert-chain.pem')))
  assert.equal(leaf.subjectAltName, 'URI:spiffe://cluster.local/ns/foo/sa/web')
  assert.ok(Math.abs(Date.parse(leaf.validTo) - Date.now() - 7_200_000) < 60_000)
  assert.equal(statSync(join(cwd, 'foo-web/key.pem')).mode & 0o777, 0o600)
  const verify = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'foo-web/root-cert.pem']
  assert.equal(spawnSync('openssl', [...verify, 'foo-web/cert-chain.pem'], { cwd }).status, 0)
  // Again: the files of the same workload are replaced, those of another are not.
  assert.equal((await sallyport(issue, { cwd })).code, 0)
  const other = ['ca', 'issue', '--ca-dir', 'ca', '--out', 'foo-web']
  await refused(sallyport(other, { cwd }), 3, /has key\.pem of something else: take another --out/)
  assert.deepEqual(readdirSync(join(cwd, 'foo-web')).sort(), ['cert-chain.pem', 'key.pem', 'root-cert.pem'])
})

test('a rotated root trusts both until it is finished', needsOpenssl, async (t) => {
  const cwd = folderOf(t, {})
  const run = (...argv: string[]) => program(['ca', ...argv, '--ca-dir', 'ca'], { cwd })
  await run('issue', '--out', 'old')
  assert.equal(roots((await run('rotate')).stdout), 2)
  await refused(run('rotate'), 3, /still trusts the root before: finish that rotation first/)
  await run('issue', '--out', 'new')
  const verifies = (ca: string, one: string) =>
    spawnSync('openssl', ['verify', '-CAfile', `${ca}/root-cert.pem`, `${one}/cert-chain.pem`], { cwd }).status === 0
  assert.deepEqual([verifies('new', 'old'), verifies('new', 'new'), verifies('old', 'new')], [true, true, false])
  assert.equal(roots((await run('rotate', '--finish')).stdout), 1)
  await refused(run('rotate', '--finish'), 3, /there is no rotation to finish/)
  await run('issue', '--out', 'last')
  assert.deepEqual([verifies('last', 'old'), verifies('last', 'new')], [false, true])
  assert.deepEqual(readdirSync(join(cwd, 'ca/cluster.local')).sort(), ['root-cert.pem', 'root-key.pem'])
  assert.equal(readFileSync(join(cwd, 'ca/cluster.local/root-key.pem'), 'utf8').match(/BEGIN/g)?.length, 1)
})

test('what cannot be done is said, and changes nothing', async (t) => {
  const cwd = folderOf(t, { 'bad/cluster.local/root-cert.pem': 'x', 'bad/cluster.local/root-key.pem': 'y', file: '' })
  const run = (...argv: string[]) => sallyport(['ca', ...argv], { cwd })
  const dir = ['--ca-dir', 'ca']
  await refused(
    run('issue', ...dir, '--ttl', '91d'),
    2,
    /requested TTL 2184h0m0s is greater than the max allowed TTL 2160h0m0s/,
  )
  await refused(run('issue', ...dir, '--ttl', '5'), 2, /`5` is no duration\n {2}write days/)
  await refused(run('issue', ...dir, '--ttl', '-1h'), 2, /a second at least/)
  await refused(run('issue', ...dir, '-n', '../x'), 2, /is no workload's SPIFFE id/)
  await refused(run('show', ...dir, '--trust-domain', '../..'), 2, /is no trust domain/)
  await refused(run('show', ...dir, '--ttl', '1h'), 2, /--ttl is for `ca issue`, not `ca show`/)
  await refused(run('isue'), 2, /did you mean `issue`\?/)
  await refused(run('rotate', '--ca-dir', 'none'), 3, /there is no CA in /)
  await refused(run('show', '--ca-dir', 'bad'), 3, /no CA can be had: .*cannot be parsed/)
  await refused(run('issue', ...dir, '--out', 'file'), 3, /^error: file: /m)
  await refused(run('show', '--ca-dir', 'file'), 3, /no CA can be had: /)
  writeFileSync(join(cwd, 'ca/cluster.local/.rotating'), '')
  await refused(run('rotate', ...dir), 3, /another process replaces the root; if none does, remove /)
})
