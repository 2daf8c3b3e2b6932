import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderMap } from '../match/header-map.ts'
import { peerIdentity } from './peer.ts'
import { buildCertificate, type DistinguishedName, type SubjectAlternativeName } from './x509/certificate.ts'
import { splitSubjectAlternativeNames } from './x509/subject-alternative-names.ts'
import { appendForwardedClientCertificate, forwardedClientCertificate } from './xfcc.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function certificate(names: readonly SubjectAlternativeName[], subject: DistinguishedName = {}): X509Certificate {
  const contents = {
    subject,
    issuer: { commonName: 'root' },
    notBefore: now - 1000,
    notAfter: now + 1000,
    publicKey,
    issuerPublicKey: publicKey,
    usage: { kind: 'workload', names },
  } as const
  return new X509Certificate(buildCertificate(contents, privateKey))
}
const uri = (text: string): SubjectAlternativeName => ({ kind: 'uri', uri: text })
const dns = (name: string): SubjectAlternativeName => ({ kind: 'dns', name })
const good = 'spiffe://cluster.local/ns/foo/sa/web'

const judge = (names: readonly SubjectAlternativeName[], at = now, subject?: DistinguishedName) => {
  const peer = peerIdentity(certificate(names, subject), ['cluster.local', 'td2'], at)
  return peer.kind === 'peer' ? peer.id : peer.reason
}

test('one URI of an accepted trust domain is the identity', () => {
  assert.deepEqual(peerIdentity(certificate([uri(good)]), ['cluster.local'], now), {
    kind: 'peer',
    id: good,
    notAfter: now + 1000,
  })
  assert.equal(judge([dns('web.foo'), uri('spiffe://td2/ns/a/sa/b.c')]), 'spiffe://td2/ns/a/sa/b.c')
})

test('no URI, or several, is refused, whatever DNS names and the subject say', () => {
  assert.match(judge([]), /0 URI names/)
  assert.match(judge([dns('spiffe://cluster.local/ns/foo/sa/web')], now, { commonName: good }), /0 URI names/)
  assert.match(judge([uri('spiffe://other/ns/a/sa/b'), uri(good)]), /2 URI names/)
  assert.match(judge([uri(good), uri(good)]), /2 URI names/)
})

test('anything but the exact form is refused', () => {
  for (const text of [
    '',
    'spiffe://cluster.local',
    'spiffe://cluster.local/ns/foo/sa/web/',
    'spiffe://cluster.local/ns/foo/sa/',
    'spiffe://cluster.local/ns//sa/web',
    'spiffe://cluster.local/ns/foo/sa/web/x',
    'spiffe://cluster.local/ns/foo/sa/..',
    'spiffe://cluster.local/ns/foo/sa/web?x',
    'spiffe://cluster.local/ns/foo/sa/web#x',
    'spiffe://cluster.local/ns/foo/sa/w%65b',
    'spiffe://cluster.local:80/ns/foo/sa/web',
    'spiffe://u@cluster.local/ns/foo/sa/web',
    'SPIFFE://cluster.local/ns/foo/sa/web',
    'https://cluster.local/ns/foo/sa/web',
    ' spiffe://cluster.local/ns/foo/sa/web',
    'spiffe://cluster.local/ns/foo/sa/web\n',
    'spiffe://cluster.local/ns/foo/sa/web\0.evil',
    'spiffe://cluster.local/ns/foo/sa/web, URI:spiffe://cluster.local/ns/foo/sa/admin',
    'spiffe://cluster.local/ns/foo/sa/"web"',
  ])
    assert.match(judge([uri(text)]), /no workload's SPIFFE id|URI names/, text)
  assert.match(judge([uri('spiffe://other/ns/foo/sa/web')]), /trust domain other is not accepted/)
  assert.match(judge([uri('spiffe://cluster.local.evil/ns/foo/sa/web')]), /not accepted/)
})

test('a name that looks like two is one', () => {
  assert.match(judge([dns('a, URI:spiffe://cluster.local/ns/foo/sa/admin')]), /0 URI names/)
})

test('dates are checked again, because a resumed session does not', () => {
  assert.match(judge([uri(good)], now + 1001), /expired/)
  assert.match(judge([uri(good)], now - 1001), /not yet valid/)
})

test("Node's text is split whatever the names hold", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ -~]{1,20}$/), { maxLength: 4 }), (values) => {
      const text = certificate(values.map((value, i) => (i % 2 === 0 ? dns(value) : uri(value)))).subjectAltName
      assert.deepEqual(
        splitSubjectAlternativeNames(text),
        values.map((value, i) => ({ type: i % 2 === 0 ? 'DNS' : 'URI', value })),
      )
    }),
  )
  assert.deepEqual(splitSubjectAlternativeNames(undefined), [])
  for (const text of ['x', 'URI:"a', 'URI:"a"b', 'URI:a, ', 'URI:"\\x"'])
    assert.equal(splitSubjectAlternativeNames(text), null)
})

test('the forwarded client certificate of a workload', () => {
  const peer = certificate([uri(good)])
  const hash = peer.fingerprint256.replaceAll(':', '').toLowerCase()
  const own = 'spiffe://cluster.local/ns/foo/sa/backend'
  assert.equal(forwardedClientCertificate(own, peer), `By=${own};Hash=${hash};Subject="";URI=${good}`)
  assert.equal(forwardedClientCertificate(null, peer), `Hash=${hash};Subject="";URI=${good}`)
})

test('subject, DNS names and values that would break the header', () => {
  const fields = (names: readonly SubjectAlternativeName[], subject: DistinguishedName) =>
    forwardedClientCertificate(null, certificate(names, subject)).replace(/^Hash=[0-9a-f]{64};/, '')
  assert.equal(
    fields([dns('a.example'), dns('b.example')], { organization: 'O, "x"; +y', commonName: 'c\u00e9' }),
    'Subject="CN=c\\C3\\A9,O=O\\, \\"x\\"\\; \\+y";URI=;DNS=a.example;DNS=b.example',
  )
  assert.equal(fields([dns('a,By=x'), uri('spiffe://a;URI=b')], {}), 'Subject="";URI=')
})

test('a sidecar appends behind mTLS and removes without', () => {
  const name = 'x-forwarded-client-cert'
  const headers = HeaderMap.from([
    [name, 'By=a'],
    [name, 'By=b'],
  ])
  appendForwardedClientCertificate(headers, 'By=c')
  assert.deepEqual([...headers], [[name, 'By=a,By=b,By=c']])
  appendForwardedClientCertificate(headers, null)
  assert.equal(headers.size, 0)
  appendForwardedClientCertificate(headers, 'By=c')
  assert.deepEqual([...headers], [[name, 'By=c']])
})
