import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peer } from './peers.ts'
import * as calls from './rego-calls.ts'
import { type Call, differences } from './rego-comparison.ts'
import { jwtCalls } from './rego-jwt-calls.ts'
import { regexCalls } from './rego-regex-calls.ts'
import { timeCalls, timeExpressions } from './rego-time-calls.ts'

const found = peer('opa')
const opa = 'path' in found ? found.path : ''
const skip = 'skip' in found ? found.skip : false

const tables: readonly [what: string, calls: readonly Call[], expressions: readonly string[]][] = [
  ['strings', calls.stringCalls, []],
  ['sprintf', calls.formatCalls, calls.formatExpressions],
  ['versions and UUIDs', calls.versionCalls, []],
  ['units', calls.unitCalls, []],
  ['networks', calls.netCalls, []],
  ['hashes', calls.cryptoCalls, []],
  ['objects and JSON', calls.jsonCalls, calls.jsonExpressions],
  ['URLs', calls.urlCalls, []],
  ['regular expressions', regexCalls, []],
  ['times', timeCalls, timeExpressions],
  ['tokens', jwtCalls, []],
]

for (const [what, list, expressions] of tables) {
  test(`built-ins of ${what} answer as those of OPA`, { skip }, async () => {
    assert.deepEqual(await differences(opa, list, expressions), [])
  })
}
