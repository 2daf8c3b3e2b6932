import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from '../mesh/authorization-policy.ts'
import { attributeOf } from './attribute.ts'
import { expressValue } from './express.ts'

const http = [
  'hosts',
  'methods',
  'paths',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'request.auth.claims[a]',
  'request.headers[a]',
]
const any = [
  'destination.port',
  'destination.ip',
  'connection.sni',
  'experimental.envoy.filters.a[b]',
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.serviceAccount',
  'source.principal',
  'source.trustDomain',
]
/** A value of that attribute that Envoy can be told, and one that it cannot; every text will do for the others. */
const values = (key: string): { readonly good: string; readonly bad: string | null } => {
  if (key === 'destination.port') return { good: '80', bad: '65536' }
  if (key.endsWith('.ip')) return { good: '10.0.0.0/8', bad: '10.0.0.0/33' }
  if (key === 'paths') return { good: '/{*}', bad: '/{**}/{*}' }
  return { good: 'x', bad: null }
}

const table: readonly (readonly [
  protocol: 'http' | 'tcp',
  attribute: 'HTTP-only' | 'any',
  value: 'good' | 'bad',
  outcome: Readonly<Record<Action, string>>,
])[] = [
  ['http', 'any', 'good', { ALLOW: 'match', DENY: 'match', AUDIT: 'match', CUSTOM: 'match' }],
  ['http', 'any', 'bad', { ALLOW: 'narrow', DENY: 'widen', AUDIT: 'widen', CUSTOM: 'widen' }],
  ['http', 'HTTP-only', 'good', { ALLOW: 'match', DENY: 'match', AUDIT: 'match', CUSTOM: 'match' }],
  ['http', 'HTTP-only', 'bad', { ALLOW: 'narrow', DENY: 'widen', AUDIT: 'widen', CUSTOM: 'widen' }],
  ['tcp', 'any', 'good', { ALLOW: 'match', DENY: 'match', AUDIT: 'match', CUSTOM: 'match' }],
  ['tcp', 'any', 'bad', { ALLOW: 'narrow', DENY: 'widen', AUDIT: 'widen', CUSTOM: 'widen' }],
  ['tcp', 'HTTP-only', 'good', { ALLOW: 'narrow', DENY: 'widen', AUDIT: 'widen', CUSTOM: 'widen' }],
  ['tcp', 'HTTP-only', 'bad', { ALLOW: 'narrow', DENY: 'widen', AUDIT: 'widen', CUSTOM: 'widen' }],
]

test('the truth table of narrowing and widening', () => {
  let seen = 0
  for (const [protocol, kind, quality, outcome] of table) {
    for (const key of kind === 'any' ? any : http) {
      const attribute = attributeOf(key)
      const value = values(key)[quality]
      assert.ok(attribute, key)
      if (value === null) continue
      for (const [action, expected] of Object.entries(outcome)) {
        const place = { action: action as Action, protocol, namespace: 'foo' }
        assert.equal(expressValue(attribute, value, place).kind, expected, `${key} ${value}, ${action} on ${protocol}`)
        seen++
      }
    }
  }
  assert.equal(seen, 4 * (2 * http.length + 2 * any.length + 2 * 1 + 2 * 4))
})
