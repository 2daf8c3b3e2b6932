import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseSource } from '../source/parse.ts'
import { SourceFile } from '../source/source-file.ts'
import { loadMesh, MeshLoader } from './load.ts'
import { MeshValidator, validateMesh } from './validate.ts'

const pieces = [
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: foo }\nspec: { rules: [{}] }',
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: foo }\nspec: { action: DENY, rules: [{}] }',
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: q }\nspec:\n  rules:\n  - form: []',
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolice\nmetadata: { name: q }',
  'apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: foo }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }',
  'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: foo }\nspec: { template: { metadata: { labels: { app: web } } } }',
  'apiVersion: v1\nkind: Pod\nmetadata: { name: web, namespace: foo, labels: { app: other } }\nspec: {}',
  'apiVersion: v1\nkind: Namespace\nmetadata: { name: bar }',
  'trustDomain: td\n',
  'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio, namespace: istio-system }\ndata:\n  mesh: |\n    trustDomain: td2\n    unknown: 1',
  'apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Namespace, metadata: { name: baz } }\n- { kind: Namespace }',
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: s, namespace: foo }\nspec: { selector: { matchLabels: { app: wbe } }, rules: [{}] }',
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: c, namespace: foo }\nspec:\n  action: CUSTOM\n  provider: { name: opa }\n  rules: [{}]',
  'extensionProviders: [{ name: opa, envoyExtAuthzHttp: { service: opa.foo, port: 80 } }]\n',
  '# nothing',
  'a: [1',
]
const documents = fc.array(fc.constantFrom(...pieces), { maxLength: 8 })

test('a mesh that is loaded again is the mesh of the files as they are, and has the same faults', () => {
  fc.assert(
    fc.property(fc.array(documents, { minLength: 1, maxLength: 5 }), (versions) => {
      const file = new SourceFile('a.yaml')
      const loader = new MeshLoader()
      const validator = new MeshValidator()
      for (const version of versions) {
        const text = version.join('\n---\n')
        const again = loader.load(file.parse(text).documents)
        const fresh = loadMesh(parseSource('a.yaml', text).documents)
        assert.deepEqual(again, fresh, text)
        assert.deepEqual(validator.validate(again.mesh), validateMesh(fresh.mesh), text)
      }
    }),
    { numRuns: 500 },
  )
})

test('what did not change stays the same object', () => {
  const file = new SourceFile('a.yaml')
  const loader = new MeshLoader()
  const text = (action: string) => `${pieces[4]}\n---\n${pieces[5]}\n---\n${pieces[0]}\n---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: changing, namespace: foo }
spec: { action: ${action}, rules: [{}] }
`
  const before = loader.load(file.parse(text('ALLOW')).documents).mesh
  const after = loader.load(file.parse(`# a new first line\n${text('DENY')}`).documents).mesh
  assert.equal(after.authorizationPolicies[0], before.authorizationPolicies[0])
  assert.notEqual(after.authorizationPolicies[1], before.authorizationPolicies[1])
  assert.equal(after.authorizationPolicies[1]?.action, 'DENY')
  const third = loader.load(file.parse(`# a new first line\n${text('AUDIT')}`).documents).mesh
  assert.equal(third.workloads, after.workloads)
  assert.equal(third.instances, after.instances)
})
