import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expandPrincipals, expandTrustDomains } from './trust-domain.ts'

const A = 'ns/a/sa/s'

test('a principal stands for one of every trust domain of the mesh', () => {
  const cases: readonly (readonly [value: string, domains: readonly string[], expected: readonly string[]])[] = [
    [`td1/${A}`, ['td1'], [`td1/${A}`]],
    [`td1/${A}`, ['td1', 'old'], [`td1/${A}`, `old/${A}`]],
    [`old/${A}`, ['td1', 'old'], [`td1/${A}`, `old/${A}`]],
    // A pointer to the mesh's own domain, which need not be cluster.local itself.
    [`cluster.local/${A}`, ['td1'], [`td1/${A}`]],
    [`cluster.local/${A}`, ['td1', 'cluster.local'], [`td1/${A}`, `cluster.local/${A}`]],
    // Another mesh's.
    [`other/${A}`, ['td1', 'old'], [`other/${A}`]],
    // Only five segments name a domain.
    ['cluster.local/ns/a/*', ['td1'], ['cluster.local/ns/a/*']],
    [`${A}`, ['td1'], [A]],
    [`td1/${A}/x`, ['td1', 'old'], [`td1/${A}/x`]],
    ['*', ['td1'], ['*']],
    [`*/${A}`, ['td1', 'old'], [`*/${A}`]],
    // A wildcard domain is kept where it covers, and written out where it does not.
    [`*-td/${A}`, ['new-td', 'old-td', 'some'], [`*-td/${A}`, `some/${A}`]],
    [`new*/${A}`, ['new-td', 'old-td'], [`new-td/${A}`, `old-td/${A}`]],
    [`x.local/${A}`, ['td1', '*.local'], [`td1/${A}`, `*.local/${A}`]],
    [`td1/${A}`, ['td1', 'td1'], [`td1/${A}`]],
    ['', ['td1'], ['']],
    ['/////', ['td1'], ['/////']],
  ]
  for (const [value, domains, expected] of cases) {
    assert.deepEqual(expandPrincipals([value], domains), expected, `${value} in ${domains}`)
  }
})

test('an exact trust domain of the mesh stands for all of them, and cluster.local is nothing special', () => {
  const cases: readonly (readonly [
    values: readonly string[],
    domains: readonly string[],
    expected: readonly string[],
  ])[] = [
    [['td1'], ['td1', 'old'], ['td1', 'old']],
    [
      ['old', 'x'],
      ['td1', 'old'],
      ['td1', 'old', 'x'],
    ],
    [['cluster.local'], ['td1'], ['cluster.local']],
    [['td*'], ['td1', 'old'], ['td*']],
    [
      ['td1', 'old'],
      ['td1', 'old'],
      ['td1', 'old'],
    ],
  ]
  for (const [values, domains, expected] of cases) assert.deepEqual(expandTrustDomains(values, domains), expected)
})
