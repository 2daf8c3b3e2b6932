import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'

test('a name that could not stand in an id of a rule is refused', () => {
  const problems = (name: string, namespace: string) => {
    const text = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { rules: [{}] }
`
    const { diagnostics } = loadMesh(parseSource('a.yaml', text).documents)
    return diagnostics.map(({ code, line, message }) => `${code} ${line} ${message}`)
  }
  assert.deepEqual(problems('"../../etc"', 'foo'), ['SP106 3 "../../etc" is not the name of a resource'])
  assert.deepEqual(problems('"a\\nready"', 'foo'), ['SP106 3 "a\\nready" is not the name of a resource'])
  assert.deepEqual(problems('p', '"a b"'), ['SP106 3 "a b" is not the name of a resource'])
  assert.deepEqual(problems('a.b-c_D', 'foo'), [])
})
