import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggest, suggestName } from './suggest.ts'

const fields = [
  'principals',
  'notPrincipals',
  'methods',
  'paths',
  'hosts',
  'ports',
  'matchLabels',
  'to',
  'from',
  'when',
]
const kinds = ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication', 'Authorizer', 'Pod', 'Service']

test('near names are suggested', () => {
  const cases: [string, readonly string[], string | null][] = [
    ['principal', fields, 'principals'],
    ['method', fields, 'methods'],
    ['path', fields, 'paths'],
    ['pahts', fields, 'paths'],
    ['matchLabel', fields, 'matchLabels'],
    ['Paths', fields, 'paths'],
    ['form', fields, 'from'],
    ['x', fields, null],
    ['check', fields, null],
    ['proxy', fields, null],
    ['Authorization', kinds, 'AuthorizationPolicy'],
    ['AuthorisationPolicy', kinds, 'AuthorizationPolicy'],
    ['authorizationpolicy', kinds, 'AuthorizationPolicy'],
    ['Gadget', kinds, null],
    ['', kinds, null],
    ['x'.repeat(1000), kinds, null],
  ]
  for (const [word, candidates, expected] of cases) assert.equal(suggest(word, candidates), expected, word)
})

test('a name of the user is suggested where it is a slip, not where names differ on purpose', () => {
  const cases: [string, readonly string[], string | null][] = [
    ['paymnets', ['payments', 'orders'], 'payments'],
    ['frontedn', ['frontend'], 'frontend'],
    ['payments', ['payments'], null],
    ['web1', ['web2'], null],
    ['team-a', ['team-b'], null],
    ['prod-eu', ['prod-us'], null],
    ['frontend', ['frontend-v2'], null],
    ['foo', ['fo0'], null],
    ['east', ['west'], null],
    ['x'.repeat(1000), ['x'.repeat(1001)], null],
  ]
  for (const [name, names, expected] of cases) assert.equal(suggestName(name, names), expected, name)
})
