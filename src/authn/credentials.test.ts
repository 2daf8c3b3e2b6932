import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, mock, test } from 'node:test'
import type { Logger } from '../observe/log.ts'
import { openCaFolder } from './ca-files.ts'
import { beginRotation, finishRotation } from './ca-rotation.ts'
import { createDevelopmentCa } from './certificate-authority.ts'
import { openCredentialFiles } from './credential-files.ts'
import { type Credentials, createIssuedCredentials, parseCredentials } from './credentials.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-credentials-'))
after(() => rmSync(folder, { recursive: true }))

function recorder() {
  const errors: string[] = []
  let next = () => {}
  const note = (_: string, fields?: { readonly reason?: unknown }) => {
    errors.push(String(fields?.reason))
    next()
  }
  const logger: Logger = { level: 'error', debug() {}, info() {}, warn: note, error: note }
  const complaint = () =>
    new Promise<void>((resolve) => {
      next = resolve
    })
  return { errors, logger, complaint }
}

test('issued credentials are renewed at half their life', (t) => {
  const hour = 60 * 60_000
  const start = Date.parse('2026-01-01T00:00:00Z')
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: start })
  t.after(() => mock.timers.reset())
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: () => Date.now() })
  const { errors, logger } = recorder()
  const source = createIssuedCredentials(ca, { namespace: 'a', serviceAccount: 'b', logger, random: () => 0.5 })
  const seen: Credentials[] = []
  source.onChange(() => {
    throw new Error('listener')
  })
  const stop = source.onChange((credentials) => seen.push(credentials))
  const first = source.current()
  assert.equal(first.notAfter, start + 24 * hour)
  mock.timers.tick(11.9 * hour)
  assert.equal(seen.length, 0)
  mock.timers.tick(0.1 * hour)
  assert.equal(seen.length, 1)
  assert.notEqual(source.current().certificate, first.certificate)
  assert.equal(source.current(), seen[0])
  assert.deepEqual(errors, ['Error: listener'])
  for (let i = 0; i < 24; i++) mock.timers.tick(hour)
  assert.equal(seen.length, 3)
  stop()
  mock.timers.tick(24 * hour)
  assert.equal(seen.length, 3)
  const last = source.current()
  source.close()
  mock.timers.tick(48 * hour)
  assert.equal(source.current(), last)
})

test('a long life does not overflow the timer', (t) => {
  const day = 24 * 60 * 60_000
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-01-01T00:00:00Z') })
  t.after(() => mock.timers.reset())
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: () => Date.now() })
  const { logger } = recorder()
  const options = { namespace: 'a', serviceAccount: 'b', ttl: 90 * day, logger, random: () => 0.5 }
  const source = createIssuedCredentials(ca, options)
  let renewals = 0
  source.onChange(() => renewals++)
  mock.timers.tick(44 * day)
  assert.equal(renewals, 0)
  mock.timers.tick(2 * day)
  assert.equal(renewals, 1)
  source.close()
})

test('a clock that is set is seen within a minute, whatever the timers counted', (t) => {
  const day = 24 * 60 * 60_000
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  let time = Date.parse('2026-01-01T00:00:00Z')
  const now = () => time
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now })
  const { errors, logger } = recorder()
  const source = createIssuedCredentials(ca, { namespace: 'a', serviceAccount: 'b', logger, now, random: () => 0.5 })
  const valid = () => {
    const { validFrom, validTo } = new X509Certificate(source.current().certificate)
    return Date.parse(validFrom) <= time && time < Date.parse(validTo)
  }
  for (const [jump, what] of [
    [3 * day, 'the machine has slept'],
    [-2 * day, 'the clock was set back'],
  ] as const) {
    time += jump
    mock.timers.tick(60_000)
    assert.ok(valid(), what)
  }
  time += 4000 * day
  mock.timers.tick(60_000)
  mock.timers.tick(60_000)
  assert.deepEqual(errors, [], 'a root that has expired ends nothing but the trust in its certificates')
  source.close()
})

test('credentials from files are replaced when the files change, and never by bad ones', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
  const paths = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: join(folder, 'ca.pem') }
  const put = (path: string, text: string) => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
  const issue = () => ca.issue({ namespace: 'a', serviceAccount: 'b' })
  const first = issue()
  put(paths.certificate, first.chain)
  put(paths.key, first.key)
  put(paths.ca, ca.root)
  const { errors, logger, complaint } = recorder()
  // What is tested never keeps a process alive, so the test does.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const opened = openCredentialFiles(paths, logger)
  assert.ok(opened.kind === 'opened')
  const { source } = opened
  assert.equal(source.current().key, first.key)

  const second = issue()
  const complained = complaint()
  put(paths.certificate, second.chain)
  await complained
  assert.match(errors.join(), /the key is not the certificate's/)
  assert.doesNotMatch(errors.join(), /PRIVATE/)
  assert.equal(source.current().certificate, first.chain)

  const changed = new Promise<Credentials>((resolve) => source.onChange(resolve))
  put(paths.key, second.key)
  assert.equal((await changed).certificate, second.chain)
  assert.equal(source.current().key, second.key)
  source.close()
})

test('a folder that Kubernetes swaps behind a link is read, and a half-written one is waited for', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
  const mount = mkdtempSync(join(folder, 'mount-'))
  // As the kubelet writes a volume: a folder with the files, a link ..data to it, and links to the files through that.
  const swap = (name: string, files: Readonly<Record<string, string>>) => {
    mkdirSync(join(mount, name))
    for (const [file, text] of Object.entries(files)) writeFileSync(join(mount, name, file), text)
    symlinkSync(name, join(mount, '..data_tmp'))
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
  }
  const issue = () => {
    const { chain, key } = ca.issue({ namespace: 'a', serviceAccount: 'b' })
    return { 'tls.crt': chain, 'tls.key': key, 'ca.crt': ca.root }
  }
  const [first, second, third] = [issue(), issue(), issue()]
  swap('..2026_1', first)
  for (const file of Object.keys(first)) symlinkSync(join('..data', file), join(mount, file))
  const { errors, logger, complaint } = recorder()
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const paths = { certificate: join(mount, 'tls.crt'), key: join(mount, 'tls.key'), ca: join(mount, 'ca.crt') }
  const opened = openCredentialFiles(paths, logger)
  assert.ok(opened.kind === 'opened')
  const { source } = opened
  t.after(() => source.close())
  const next = () => new Promise<Credentials>((resolve) => source.onChange(resolve))

  const swapped = next()
  swap('..2026_2', second)
  rmSync(join(mount, '..2026_1'), { recursive: true })
  assert.equal((await swapped).certificate, second['tls.crt'])
  assert.deepEqual(errors, [])

  // Certificate and key of two issues, and half a certificate: what is good stays, and each is told once.
  for (const [name, files, reason] of [
    ['..2026_3', { ...third, 'tls.key': first['tls.key'] }, /the key is not the certificate's/],
    ['..2026_4', { ...third, 'tls.crt': third['tls.crt'].slice(0, 300) }, /the certificate cannot be parsed/],
    ['..2026_5', { ...third, 'ca.crt': '' }, /the CA file cannot be parsed/],
  ] as const) {
    const complained = complaint()
    swap(name, files)
    await complained
    assert.match(String(errors.at(-1)), reason)
    assert.equal(source.current().certificate, second['tls.crt'])
  }
  const whole = next()
  swap('..2026_6', third)
  assert.equal((await whole).certificate, third['tls.crt'])
  assert.equal(errors.length, 3)
})

test('files that are written in place, piece by piece, are taken when they are whole', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
  const place = mkdtempSync(join(folder, 'place-'))
  const paths = { certificate: join(place, 'c.pem'), key: join(place, 'k.pem'), ca: join(place, 'r.pem') }
  const put = ({ chain, key }: { readonly chain: string; readonly key: string }) => {
    writeFileSync(paths.key, key)
    writeFileSync(paths.certificate, chain)
  }
  const [first, second] = ['b', 'c'].map((serviceAccount) => ca.issue({ namespace: 'a', serviceAccount }))
  if (first === undefined || second === undefined) return assert.fail()
  put(first)
  writeFileSync(paths.ca, ca.root)
  const { errors, logger, complaint } = recorder()
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const opened = openCredentialFiles(paths, logger)
  assert.ok(opened.kind === 'opened')
  t.after(() => opened.source.close())
  const complained = complaint()
  writeFileSync(paths.key, second.key.slice(0, 100))
  await complained
  assert.match(errors.join(), /the key cannot be parsed/)
  assert.ok(!errors.join().includes(second.key.split('\n')[1] as string))
  assert.equal(opened.source.current().key, first.key)
  const whole = new Promise<Credentials>((resolve) => opened.source.onChange(resolve))
  put(second)
  assert.equal((await whole).key, second.key)
})

test('a root that is replaced is trusted at once, and signs when others have had time', (t) => {
  const start = Date.parse('2026-01-01T00:00:00Z')
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: start })
  t.after(() => mock.timers.reset())
  const dir = mkdtempSync(join(folder, 'ca-'))
  const caOptions = { trustDomain: 'cluster.local', now: () => Date.now() }
  const opened = openCaFolder(dir, caOptions)
  assert.ok(opened.kind === 'created')
  const { errors, logger } = recorder()
  const source = createIssuedCredentials(opened.ca, { namespace: 'a', serviceAccount: 'b', logger, overlap: 5000 })
  t.after(() => source.close())
  const under = (root: string) =>
    new X509Certificate(source.current().certificate).verify(new X509Certificate(root).publicKey)
  const begun = beginRotation(dir, caOptions)
  assert.ok(begun.kind === 'begun')
  source.adopt(begun.ca)
  assert.equal(source.current().ca, begun.ca.root + opened.ca.root)
  mock.timers.tick(4900)
  assert.deepEqual([under(opened.ca.root), under(begun.ca.root)], [true, false])
  mock.timers.tick(200)
  assert.deepEqual([under(opened.ca.root), under(begun.ca.root)], [false, true])
  const finished = finishRotation(dir, caOptions)
  assert.ok(finished.kind === 'finished')
  source.adopt(finished.ca)
  assert.equal(source.current().ca, begun.ca.root)

  // A root that goes without an overlap is signed for at once.
  const abrupt = createDevelopmentCa(caOptions)
  source.adopt(abrupt)
  assert.ok(under(abrupt.root))
  assert.deepEqual(errors, [])
})

test('files that are missing or do not fit are a reason at start', () => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
  const { chain, key } = ca.issue({ namespace: 'a', serviceAccount: 'b' })
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const good = { certificate: write('c1', chain), key: write('k1', key), ca: write('r1', ca.root) }
  const reason = (more: object) => {
    const opened = openCredentialFiles({ ...good, ...more }, recorder().logger)
    assert.ok(opened.kind === 'failed')
    return opened.reason
  }
  assert.match(reason({ key: join(folder, 'none') }), /ENOENT/)
  assert.match(reason({ certificate: write('c2', 'x') }), /certificate cannot be parsed/)
  assert.match(reason({ key: write('k2', 'x') }), /key cannot be parsed/)
  assert.match(reason({ ca: write('r2', 'x') }), /CA file cannot be parsed/)
  assert.match(reason({ certificate: write('c3', ca.root) }), /not the certificate's/)
})

test('credentials that TLS could not use, or nobody would accept, are refused', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: () => now })
  const { chain, key } = ca.issue({ namespace: 'a', serviceAccount: 'b' })
  const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`
  const reason = (certificate: string, at = now) => {
    const parsed = parseCredentials(certificate, key, ca.root, at)
    return parsed.kind === 'refused' ? parsed.reason : null
  }
  assert.equal(reason(chain), null)
  assert.equal(reason(chain + ca.root), null, 'the root may follow')
  assert.equal(reason(ca.root + chain), "the key is not the certificate's", 'the leaf comes first')
  for (const broken of [pem('AAAA'), pem('!!!'), chain.slice(0, 200)]) {
    assert.equal(reason(chain + broken), 'the chain of the certificate cannot be parsed')
  }
  assert.match(String(reason(chain, now + 25 * 60 * 60_000)), /^the certificate has expired, on /)
})
