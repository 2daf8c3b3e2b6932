import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import { type IpAddress, parseIp, printIp } from '../match/ip.ts'
import { remoteIpOf } from '../match/remote-ip.ts'
import { readEdgeHead } from './edge-head.ts'

const strict = { forwardClientCertificate: 'SANITIZE_SET', dropEnvoyHeaders: false } as const
const ip = (text: string): IpAddress => parseIp(text) ?? assert.fail(text)

test('whose address counts depends on how many proxies are believed', () => {
  const cases: readonly [trustedHops: number | null, lines: readonly string[], expected: string][] = [
    [null, [], '9.9.9.9'],
    [null, ['1.1.1.1, 2.2.2.2'], '2.2.2.2'],
    [null, ['1.1.1.1', '2.2.2.2'], '2.2.2.2'],
    [null, ['1.1.1.1,'], '9.9.9.9'],
    [null, [''], '9.9.9.9'],
    [0, ['1.1.1.1, 2.2.2.2'], '9.9.9.9'],
    [1, ['1.1.1.1, 2.2.2.2'], '2.2.2.2'],
    [2, ['1.1.1.1, 2.2.2.2'], '1.1.1.1'],
    [2, ['1.1.1.1', '2.2.2.2'], '1.1.1.1'],
    [2, ['1.1.1.1,3.3.3.3', '2.2.2.2'], '3.3.3.3'],
    [3, ['1.1.1.1,3.3.3.3', '2.2.2.2'], '1.1.1.1'],
    [3, ['1.1.1.1, 2.2.2.2'], '9.9.9.9'],
    [2, ['x, 2.2.2.2'], '9.9.9.9'],
    [1, ['::1'], '::1'],
    [1, [], '9.9.9.9'],
  ]
  for (const [trustedHops, lines, expected] of cases) {
    const headers = HeaderMap.from(lines.map((line) => ['x-forwarded-for', line]))
    assert.equal(printIp(remoteIpOf(headers, ip('9.9.9.9'), trustedHops)), expected, `${trustedHops} ${lines}`)
  }
})

test('a gateway takes nobody at their word', () => {
  const sent: [string, string][] = [
    ['host', 'h'],
    ['x-forwarded-for', '1.1.1.1'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-client-cert', 'By=me'],
    ['x-request-id', 'mine'],
    ['x-envoy-original-path', '/admin'],
    ['x-own', 'kept'],
  ]
  const read = (trustedHops: number, peer: string) => {
    const raw = { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1, rawHeaders: sent.flat() }
    const head = readEdgeHead(raw, {
      ...{ pathMode: 'BASE', secure: false, clientCertificate: null, upgrade: false },
      ...{ trustedHops, peer: ip(peer), own: ip('10.0.0.2') },
      ...strict,
    })
    return head.kind === 'head' ? head : assert.fail(head.details)
  }
  // Of the loopback only one address gives way to the gateway's own.
  assert.deepEqual(read(0, '127.0.0.2').headers.all('x-forwarded-for'), ['1.1.1.1,127.0.0.2'])
  const bare = read(0, '9.9.9.9')
  assert.equal(printIp(bare.remoteIp), '9.9.9.9')
  assert.deepEqual(bare.headers.all('x-forwarded-for'), ['1.1.1.1,9.9.9.9'])
  assert.deepEqual(bare.headers.all('x-forwarded-proto'), ['http'])
  assert.equal(bare.scheme, 'http')
  assert.equal(bare.headers.get('x-forwarded-client-cert'), undefined)
  assert.notEqual(bare.headers.get('x-request-id'), 'mine')
  assert.equal(bare.headers.get('x-envoy-original-path'), undefined)
  assert.equal(bare.headers.get('x-envoy-external-address'), '9.9.9.9')
  assert.equal(bare.headers.get('x-own'), 'kept')

  const behind = read(1, '127.0.0.1')
  assert.equal(printIp(behind.remoteIp), '1.1.1.1')
  assert.deepEqual(behind.headers.all('x-forwarded-for'), ['1.1.1.1,10.0.0.2'])
  assert.deepEqual(behind.headers.all('x-forwarded-proto'), ['https'])
  assert.equal(behind.scheme, 'https')
})

test('an IPv4 address within IPv6 is written with dots, as by Envoy', () => {
  assert.equal(printIp(ip('::ffff:cb00:7107')), '::ffff:203.0.113.7')
  assert.equal(printIp(ip('::cb00:7107')), '::203.0.113.7')
  assert.equal(printIp(ip('::7107')), '::7107')
})

test('a gateway refuses a target of https on a plaintext connection', () => {
  const raw = { method: 'GET', url: 'https://h/a', httpVersionMajor: 1, httpVersionMinor: 1, rawHeaders: ['host', 'h'] }
  const options = { pathMode: 'BASE', clientCertificate: null, upgrade: false, trustedHops: 0, ...strict } as const
  const ends = { peer: ip('9.9.9.9'), own: ip('10.0.0.1') }
  const plain = readEdgeHead(raw, { ...options, ...ends, secure: false })
  assert.deepEqual(plain.kind === 'refused' && [plain.status, plain.body, plain.details], [
    403,
    'Forbidden',
    'http1.https_url_on_plaintext_connection',
  ])
  assert.equal(readEdgeHead(raw, { ...options, ...ends, secure: true }).kind, 'head')
  assert.equal(readEdgeHead(raw, { ...options, ...ends, secure: false, trustedHops: 1 }).kind, 'head')
})
