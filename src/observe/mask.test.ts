import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskHeaders, maskTarget } from './mask.ts'

const token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.c2ln`

test('values of headers that carry credentials are hidden, in whatever case', () => {
  const names = ['Authorization', 'proxy-authorization', 'COOKIE', 'set-cookie', 'X-Api-Key', 'x-amz-security-token']
  for (const [, value] of maskHeaders(names.map((name) => [name, 's3cret']))) assert.equal(value, '[masked]')
})

test('other headers are shown, without the tokens in them', () => {
  const shown = maskHeaders(
    [
      ['accept', 'text/html'],
      ['x-forwarded', `for=a; jwt=${token}; b`],
      ['x-custom', 's3cret'],
    ],
    new Set(['x-custom']),
  )
  assert.deepEqual(shown, [
    ['accept', 'text/html'],
    ['x-forwarded', 'for=a; jwt=[masked]; b'],
    ['x-custom', '[masked]'],
  ])
})

test('a name is judged alike however often and among however many others it comes', () => {
  const extra = new Set(['x-plain-7'])
  for (let i = 0; i < 2000; i++) {
    const lines = [`x-plain-${i}`, `x-token-${i}`, 'x-plain-7'].map((name) => [name, 's3cret'] as const)
    const shown = (also?: ReadonlySet<string>) => maskHeaders(lines, also).map(([, value]) => value)
    const plain = i === 7 ? '[masked]' : 's3cret'
    assert.deepEqual(shown(extra), [plain, '[masked]', '[masked]'])
    assert.deepEqual(shown(), ['s3cret', '[masked]', 's3cret'])
    assert.deepEqual(shown(extra), [plain, '[masked]', '[masked]'])
  }
})

test('lines and values are bounded', () => {
  const shown = maskHeaders(Array.from({ length: 500 }, () => ['a', 'x'.repeat(100_000)] as const))
  assert.equal(shown.length, 128)
  assert.ok(shown.every(([, value]) => value.length <= 513))
})

test('parameters that carry credentials are hidden', () => {
  const cases: [string, string][] = [
    ['/a', '/a'],
    ['/a?x=1&y', '/a?x=1&y'],
    ['/a?access_token=abc&x=1', '/a?access_token=[masked]&x=1'],
    ['/a?x=1;Token=abc', '/a?x=1;Token=[masked]'],
    ['/a?%61ccess_token=abc', '/a?%61ccess_token=[masked]'],
    ['/cb?code=abc#id_token=def', '/cb?code=[masked]#id_token=[masked]'],
    [
      '/a?key=1&password=2&client_secret=3&sig=4',
      '/a?key=[masked]&password=[masked]&client_secret=[masked]&sig=[masked]',
    ],
    ['/a?key=a?b=c&x=1', '/a?key=[masked]&x=1'],
    ['/a?next=/b?token=abc', '/a?next=/b?token=abc'.replace('abc', '[masked]')],
    ['http://user:pass@host/a?x=1', 'http://[masked]@host/a?x=1'],
    [`/t/${token}/x?y=${token}`, '/t/[masked]/x?y=[masked]'],
  ]
  for (const [target, expected] of cases) assert.equal(maskTarget(target), expected, target)
  assert.equal(maskTarget('/a?ticket=abc', new Set(['ticket'])), '/a?ticket=[masked]')
})

test('a long target is cut, and hostile ones cost no more than their length', () => {
  assert.ok(maskTarget(`/${'x'.repeat(100_000)}`).length <= 2049)
  const started = performance.now()
  for (const hostile of ['eyJ'.repeat(700), '?'.repeat(2048), '?a'.repeat(1000), '?='.repeat(1000)])
    maskTarget(`/${hostile}`)
  assert.ok(performance.now() - started < 200)
})
