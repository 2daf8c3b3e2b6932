import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderMap } from './header-map.ts'
import { blockContains, parseIp, parseIpBlock, parseSocketIp, printIp } from './ip.ts'
import { matchesPathTemplate, parsePathTemplate } from './path-template.ts'
import { matchesString, parseStringMatch, printStringMatch } from './string-match.ts'

test('a star counts at one end only', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['/a', '/a', true],
    ['/a', '/A', false],
    ['/a*', '/ab', true],
    ['*b', '/ab', true],
    ['*', '', false],
    ['*', 'x', true],
    ['*', 'x\ny', false],
    ['*a*', 'xa*', true],
    ['*a*', 'xab', false],
    ['/a/*/b', '/a/x/b', false],
    ['**', 'x*', true],
  ]
  for (const [pattern, text, expected] of rows) {
    assert.equal(matchesString(parseStringMatch(pattern), text), expected, `${pattern} on ${text}`)
    assert.equal(printStringMatch(parseStringMatch(pattern)), pattern)
  }
})

test('path templates match whole segments of template characters', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['/foo/{*}', '/foo/bar', true],
    ['/foo/{*}', '/foo/', false],
    ['/foo/{*}', '/foo/a/b', false],
    ['/foo/{*}', '/foo/a[b', false],
    ['/foo/{*}', '/foo/*', true],
    ['/foo/{*}/x', '/foo/a*b/x', true],
    ['/foo/{**}/x', '/foo/*/*b/x', true],
    ['/allow/admin/{**}', '/allow/admin', false],
    ['/allow/admin/{**}', '/allow/admin/', true],
    ['/allow/admin/{**}', '/allow/admin/a//b', true],
    ['/store/{**}/cart', '/store/cart', false],
    ['/store/{**}/cart', '/store//cart', true],
    ['/store/{**}/cart', '/store/a/b/cart', true],
    ['/{*}/b/{**}/c/d', '/a/b/x/c/d', true],
    ['/{*}/b/{**}/c/d', '/a/b/c/d', false],
    ['/{**}', '/', true],
  ]
  for (const [text, path, expected] of rows) {
    const template = parsePathTemplate(text)
    assert.ok(template, text)
    assert.equal(matchesPathTemplate(template, path), expected, `${text} on ${path}`)
  }
  for (const bad of ['{*}', '/{**}/{*}', '/a{*}', '/{*}/a*b', '/{x}/{*}', '//{*}']) {
    assert.equal(parsePathTemplate(bad), null, bad)
  }
})

test('templates agree with the regular expressions that Envoy builds', () => {
  const class_ = "[a-zA-Z0-9\\-._~%!$&'()*+,;:@=]"
  const regex = (text: string) =>
    new RegExp(
      `^${text
        .split('/')
        .map((part) =>
          part === '{*}' ? `${class_}+` : part === '{**}' ? `(?:${class_}|/)*` : part.replace(/[.$()+]/g, '\\$&'),
        )
        .join('/')}$`,
    )
  const part = fc.constantFrom('{*}', '{**}', 'a', 'b.c', 'a+b')
  const text = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`)
  const path = fc
    .array(fc.constantFrom('a', 'b.c', 'a+b', '', '[', '*', 'x*'), { maxLength: 7 })
    .map((s) => `/${s.join('/')}`)
  fc.assert(
    fc.property(text, path, (t, p) => {
      const template = parsePathTemplate(t)
      fc.pre(template !== null)
      assert.equal(matchesPathTemplate(template as NonNullable<typeof template>, p), regex(t).test(p), `${t} on ${p}`)
    }),
    { numRuns: 10_000 },
  )
})

test('addresses and blocks', () => {
  for (const text of ['1.2.3.4', '::', '::1', '2001:db8::1', 'fe80:0:1::', '1:2:3:4:5:6:7:8']) {
    const ip = parseIp(text)
    assert.ok(ip, text)
    assert.deepEqual(parseIp(printIp(ip)), ip)
  }
  for (const bad of [
    '',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.256',
    ':::',
    '1::2::3',
    'g::',
    '1:2:3:4:5:6:7:8:9',
    'fe80::1%eth0',
  ]) {
    assert.equal(parseIp(bad), null, bad)
  }
  const inside = (block: string, address: string) => {
    const b = parseIpBlock(block)
    const ip = parseIp(address)
    assert.ok(b !== null && ip !== null)
    return blockContains(b, ip)
  }
  assert.ok(inside('10.0.0.0/8', '10.255.1.1'))
  assert.ok(!inside('10.0.0.0/8', '11.0.0.0'))
  assert.ok(inside('10.1.2.3/8', '10.9.9.9'), 'host bits are cleared')
  assert.ok(inside('0.0.0.0/0', '255.255.255.255'))
  assert.ok(!inside('0.0.0.0/0', '::1'))
  assert.ok(inside('2001:db8::/33', '2001:db8:7fff::'))
  assert.ok(!inside('2001:db8::/33', '2001:db8:8000::'))
  assert.deepEqual(parseIpBlock('fe80::1%eth0'), parseIpBlock('fe80::1/128'), 'a zone is left out, as Istio does')
  for (const bad of [
    'fe80::1%',
    '1.2.3.4%eth0',
    'fe80::%eth0/64',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/08',
    '::/129',
    'x/8',
    '/8',
  ]) {
    assert.equal(parseIpBlock(bad), null, bad)
  }
  assert.deepEqual(parseSocketIp('::ffff:10.0.0.1'), parseIp('10.0.0.1'))
})

test('header lines keep order, repeats and lower-case names', () => {
  const map = HeaderMap.from([
    ['X-A', '1'],
    ['b', '2'],
    ['x-a', '3'],
  ])
  assert.deepEqual(map.all('x-a'), ['1', '3'])
  map.set('X-A', 'new')
  assert.deepEqual(
    [...map],
    [
      ['x-a', 'new'],
      ['b', '2'],
    ],
  )
  assert.ok(map.delete('B'))
  assert.ok(!map.delete('b'))
  assert.deepEqual(map.toRaw(), ['x-a', 'new'])
})
