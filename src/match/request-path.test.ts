import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PathMode } from './request-path.ts'
import { normalizePath } from './request-path.ts'

const modes: readonly PathMode[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']

/** The normalized path, or the details of the refusal. */
function normalize(target: string, mode: PathMode): string {
  const result = normalizePath(target, mode)
  return result.kind === 'path' ? result.path : result.details
}

/** Input, then what BASE, MERGE_SLASHES and DECODE_AND_MERGE_SLASHES make of it; null stands for "as before". */
const table: readonly (readonly [string, string, string | null, string | null])[] = [
  ['/', '/', null, null],
  ['/a/../b', '/b', null, null],
  ['/a/%2e%2e/b', '/b', null, null],
  ['/a/.%2E/b', '/b', null, null],
  ['/a\\..\\b', '/b', null, null],
  ['//a//b', '//a//b', '/a/b', null],
  ['/a%2f..%2Fb', '/a%2f..%2Fb', null, '/b'],
  ['/a/..%5cb', '/a/..%5cb', null, '/b'],
  ['/%61%2D%7e', '/a-~', null, null],
  ['/a%20b', '/a%20b', null, null],
  ['/a%252fb', '/a%252fb', null, null],
  ['/a%zz', '/a%zz', null, null],
  ['/a%', '/a%', null, null],
  ['/a|b{c}', '/a%7Cb%7Bc%7D', null, null],
  ['/"<>^`', '/%22%3C%3E%5E%60', null, null],
  ['/x[1]', '/x[1]', null, null],
  ['/a/..;x/b', '/b', null, null],
  ['/a;x/b', '/a;x/b', null, null],
  ['/x/..;/admin', '/admin', null, null],
  ['/x/.;/admin', '/x/admin', null, null],
  ['/x/..%3B/admin', '/x/..%3B/admin', null, null],
  ['/a%00b', 'path_normalization_failed', null, null],
  ['/../admin', '/admin', null, null],
  ['/%2e%2e/%2e%2e/admin', '/admin', null, null],
  ['/admin/.', '/admin/', null, null],
  ['/admin/x/..', '/admin/', null, null],
  ['/admin%2e', '/admin.', null, null],
  ['/...', '/...', null, null],
  ['/.//admin', '//admin', '/admin', null],
  ['/a//../admin', '/a/admin', null, null],
  ['/A?x=/../%2e#f', '/A?x=/../%2e', null, null],
  ['/a#f', '/a', null, null],
  ['/a?#', '/a?', null, null],
  ['/#?access_token=bad', '/', null, null],
  ['//', '//', null, null],
  ['////', '////', '//', null],
  ['/a/..//', '//', null, null],
  ['/%2f', '/%2f', null, '//'],
  ['///a', '///a', '/a', null],
  ['//?x=//', '//?x=//', null, null],
  ['/a b', 'http1.codec_error', null, null],
  ['/a\u0001', 'http1.invalid_characters', null, null],
  ['/a?\u007f', 'http1.invalid_characters', null, null],
  ['/a#\u001f', 'http1.invalid_characters', null, null],
  ['/a\u00e4', 'http1.codec_error', null, null],
  ['/a#\u00e4', 'http1.codec_error', null, null],
]

test('paths are normalized as Envoy does in each mode', () => {
  for (const [input, base, merge, decode] of table) {
    assert.equal(normalize(input, 'BASE'), base, `${input} with BASE`)
    assert.equal(normalize(input, 'MERGE_SLASHES'), merge ?? base, `${input} with MERGE_SLASHES`)
    assert.equal(normalize(input, 'DECODE_AND_MERGE_SLASHES'), decode ?? merge ?? base, `${input} with DECODE`)
  }
})

test('NONE only cuts the fragment', () => {
  for (const path of ['/a/../b', '//a', '/%61', '/a|b', '/a%00b', '/a\\b']) assert.equal(normalize(path, 'NONE'), path)
  assert.equal(normalize('/a/..#x', 'NONE'), '/a/..')
})

test('an escape that hides another is left as one pass makes it, so no policy sees further than Envoy', () => {
  assert.equal(normalize('/a/%2e%2e;/b', 'BASE'), '/a/..;/b')
  assert.equal(normalize('/a/b\\..;x/c', 'BASE'), '/a/b/..;x/c')
  assert.equal(normalize('/x/%%32%65%2e/admin', 'BASE'), '/x/%252e./admin')
  assert.equal(normalize('/%%36%31dmin', 'BASE'), '/%2561dmin')
  assert.equal(normalize('/%6%31', 'BASE'), '/%2561')
  assert.equal(normalize('/%%361', 'BASE'), '/%2561')
  assert.equal(normalize('/%%36z', 'BASE'), '/%6z')
  assert.equal(normalize('/a%%32fb', 'DECODE_AND_MERGE_SLASHES'), '/a%252fb')
})

test('the query is never touched, and no plain dot segment is left', () => {
  const pieces = ['/', '.', '..', ';', '%', '%2e', '%2F', '%5c', '\\', 'a', 'B', '%61', '|', '%25', '6', '1']
  const path = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((some) => `/${some.join('')}`)
  const query = fc.constantFrom('', '?', '?a=/../b', '?x=%2e%2e//|')
  fc.assert(
    fc.property(path, query, fc.constantFrom(...modes), (text, search, mode) => {
      const normalized = normalizePath(text + search, mode)
      if (normalized.kind === 'reject') return
      assert.ok(normalized.path.startsWith('/') && normalized.path.endsWith(search))
      if (mode === 'NONE') return
      const segments = normalized.path.slice(0, normalized.path.length - search.length).split('/')
      assert.ok(!segments.some((segment) => /^\.\.?$/.test(segment)))
    }),
  )
})
