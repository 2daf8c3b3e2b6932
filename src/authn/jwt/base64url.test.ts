import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBase64url } from './base64url.ts'

test('decodes what Envoy accepts', () => {
  for (const [text, expected] of [
    ['', ''],
    ['YQ', 'a'],
    ['YQ==', 'a'],
    ['YWI=', 'ab'],
    ['YWJj', 'abc'],
    ['YW Jj\t', 'abc'],
    ['YR', 'a'],
    ['-_-_', '\u00fb\u00ff\u00bf'],
  ] as const) {
    assert.equal(decodeBase64url(text)?.toString('latin1'), expected, text)
  }
})

test('refuses what Envoy refuses', () => {
  for (const text of ['Y', 'YWJjZ', 'YQ=', 'YWJj=', 'YQ==YQ', 'Y+', 'Y/', 'YQ,', '"YQ"', 'YQ\0', 'Y\u00e9'])
    assert.equal(decodeBase64url(text), null, text)
})
