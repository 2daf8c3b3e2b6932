import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { openCaFolder } from './ca-files.ts'
import { createDevelopmentCa, maxTtl, openDevelopmentCa, renewalTime } from './certificate-authority.ts'
import { peerIdentity } from './peer.ts'

const hour = 60 * 60_000
const folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-'))
after(() => rmSync(folder, { recursive: true }))

const options = { trustDomain: 'cluster.local', now: Date.now }
const ca = createDevelopmentCa(options)
const openssl = spawnSync('openssl', ['version']).error === undefined
const needsOpenssl = { skip: openssl ? false : 'openssl is not installed' }

test('a leaf is as istiod would issue it', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const fixed = createDevelopmentCa({ trustDomain: 'td.example', now: () => now })
  const issued = fixed.issue({ namespace: 'foo', serviceAccount: 'web.v1' })
  const leaf = new X509Certificate(issued.certificate)
  assert.equal(leaf.subject, undefined)
  assert.equal(leaf.subjectAltName, 'URI:spiffe://td.example/ns/foo/sa/web.v1')
  assert.equal(leaf.ca, false)
  assert.equal(Date.parse(leaf.validFrom), now - 2 * 60_000)
  assert.equal(Date.parse(leaf.validTo), now + 24 * hour)
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  const root = new X509Certificate(fixed.root)
  assert.ok(root.ca)
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey))
  assert.equal(Math.round((Date.parse(root.validTo) - now) / (24 * hour)), 3650)
  const again = new X509Certificate(fixed.issue({ namespace: 'foo', serviceAccount: 'web.v1' }).certificate)
  assert.notEqual(again.serialNumber, leaf.serialNumber)
  assert.notEqual(again.fingerprint256, leaf.fingerprint256)
})

test('a leaf never outlives its root, and a ttl has limits', () => {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const aging = createDevelopmentCa({ trustDomain: 'td', now: () => now })
  const end = Date.parse(new X509Certificate(aging.root).validTo)
  now = end - hour
  assert.equal(
    Date.parse(new X509Certificate(aging.issue({ namespace: 'a', serviceAccount: 'b' }).certificate).validTo),
    end,
  )
  const issue = (ttl: number) => aging.issue({ namespace: 'a', serviceAccount: 'b', ttl })
  for (const ttl of [0, -1, Number.NaN, maxTtl + 1]) assert.throws(() => issue(ttl), RangeError)
  for (const name of ['', 'a/b', '..', 'a b', 'a\n']) {
    assert.throws(() => ca.issue({ namespace: name, serviceAccount: 'b' }), TypeError)
    assert.throws(() => ca.issue({ namespace: 'a', serviceAccount: name }), TypeError)
  }
})

test('openssl verifies what is issued', needsOpenssl, () => {
  const [root, leaf, other] = ['root.pem', 'leaf.pem', 'other.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(root, ca.root)
  writeFileSync(leaf, ca.issue({ namespace: 'foo', serviceAccount: 'web' }).chain)
  writeFileSync(other, createDevelopmentCa(options).root)
  const strict = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile']
  for (const purpose of ['sslserver', 'sslclient'])
    assert.match(execFileSync('openssl', [...strict, root, '-purpose', purpose, leaf], { encoding: 'utf8' }), /: OK/)
  assert.notEqual(spawnSync('openssl', [...strict, other, leaf]).status, 0)
  const shown = execFileSync('openssl', ['x509', '-in', leaf, '-noout', '-text'], { encoding: 'utf8' })
  assert.match(shown, /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/foo\/sa\/web\n/)
  assert.match(shown, /Key Usage: critical\s+Digital Signature, Key Encipherment\n/)
})

test('openssl s_client talks mTLS with a server that has an issued certificate', needsOpenssl, async () => {
  const server = ca.issue({ namespace: 'default', serviceAccount: 'backend' })
  const client = ca.issue({ namespace: 'default', serviceAccount: 'frontend' })
  const listener = createServer({ cert: server.chain, key: server.key, ca: ca.root, requestCert: true })
  listener.on('secureConnection', (socket) => {
    const certificate = socket.getPeerX509Certificate()
    const peer = certificate ? peerIdentity(certificate, ['cluster.local'], Date.now()) : null
    socket.end(`${peer?.kind === 'peer' ? peer.id : 'nobody'}\n`)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const files = { 'c-root.pem': ca.root, 'c-cert.pem': client.chain, 'c-key.pem': client.key }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const { port } = listener.address() as AddressInfo
  const s: ChildProcess = spawn(
    'openssl',
    [
      ...['s_client', '-connect', `127.0.0.1:${port}`, '-quiet', '-verify_return_error'],
      ...['-CAfile', 'c-root.pem', '-cert', 'c-cert.pem', '-key', 'c-key.pem'],
    ],
    { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] },
  )
  let out = ''
  s.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk
  })
  await once(s, 'close')
  listener.close()
  assert.equal(out, 'spiffe://cluster.local/ns/default/sa/frontend\n')
})

test('a client of another root is turned away', async () => {
  const server = ca.issue({ namespace: 'default', serviceAccount: 'backend' })
  const stranger = createDevelopmentCa(options).issue({ namespace: 'default', serviceAccount: 'frontend' })
  const listener = createServer({ cert: server.chain, key: server.key, ca: ca.root, requestCert: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const refused = once(listener, 'tlsClientError')
  const socket = connect({
    ...{ port, host: '127.0.0.1', ca: ca.root, checkServerIdentity: () => undefined },
    ...{ cert: stranger.chain, key: stranger.key },
  })
  socket.on('error', () => {})
  await refused
  socket.destroy()
  listener.close()
})

test('a root is made once and opened ever after', () => {
  const path = join(folder, 'new', 'ca')
  const first = openCaFolder(path, options)
  const second = openCaFolder(path, options)
  assert.equal(first.kind, 'created')
  assert.equal(second.kind, 'opened')
  assert.ok(first.kind === 'created' && second.kind === 'opened')
  assert.equal(first.ca.root, second.ca.root)
  assert.equal(statSync(join(path, 'root-key.pem')).mode & 0o777, 0o600)
  const leaf = new X509Certificate(second.ca.issue({ namespace: 'a', serviceAccount: 'b' }).certificate)
  assert.ok(leaf.verify(new X509Certificate(first.ca.root).publicKey))
})

test('of several processes that make a root at the same time all use the same one', async () => {
  const path = join(folder, 'race')
  const module = JSON.stringify(new URL('./ca-files.js', import.meta.url).href)
  const script = `const { openCaFolder } = await import(${module})
    process.stdout.write(openCaFolder(${JSON.stringify(path)}, { trustDomain: 'td', now: Date.now }).ca.root)`
  const roots = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let root = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        root += chunk
      })
      await once(child, 'close')
      return root
    }),
  )
  assert.match(roots[0] ?? '', /^-----BEGIN CERTIFICATE/)
  assert.equal(new Set(roots).size, 1)
  assert.deepEqual(readdirSync(path).sort(), ['root-cert.pem', 'root-key.pem'])
})

test('a root that cannot be used is a reason, never replaced', () => {
  const other = createDevelopmentCa(options)
  const cases: [string, string | null, string | null, RegExp][] = [
    ['no-key', ca.root, null, /no root-key\.pem/],
    ['no-cert', null, ca.rootKey, /no root-cert\.pem/],
    ['bad-cert', 'x', ca.rootKey, /certificate cannot be parsed/],
    ['bad-key', ca.root, 'x', /key cannot be parsed/],
    ['pair', ca.root, other.rootKey, /not the certificate's/],
    ['domain', createDevelopmentCa({ ...options, trustDomain: 'td2' }).root, ca.rootKey, /./],
  ]
  for (const [name, cert, key, reason] of cases) {
    const path = join(folder, name)
    mkdirSync(path)
    if (cert !== null) writeFileSync(join(path, 'root-cert.pem'), cert)
    if (key !== null) writeFileSync(join(path, 'root-key.pem'), key)
    const opened = openCaFolder(path, options)
    assert.equal(opened.kind, 'failed', name)
    assert.match(opened.kind === 'failed' ? opened.reason : '', reason)
    if (cert !== null) assert.equal(readFileSync(join(path, 'root-cert.pem'), 'utf8'), cert)
  }
  const expired = openDevelopmentCa(ca.root, ca.rootKey, { ...options, now: () => Date.now() + 3651 * 24 * hour })
  assert.ok('kind' in expired && /expired/.test(expired.reason))
  const foreign = openDevelopmentCa(ca.root, ca.rootKey, { ...options, trustDomain: 'td2' })
  assert.ok('kind' in foreign && /trust domain td2/.test(foreign.reason))
  const leaf = ca.issue({ namespace: 'a', serviceAccount: 'b' })
  const notCa = openDevelopmentCa(leaf.certificate, leaf.key, options)
  assert.ok('kind' in notCa && /not one of an authority/.test(notCa.reason))
})

test('renewal at half of the life, spread by a hundredth', () => {
  assert.equal(renewalTime(0, 1000, 0), 510)
  assert.equal(renewalTime(0, 1000, 0.5), 500)
  assert.equal(renewalTime(0, 1000, 1), 490)
})
