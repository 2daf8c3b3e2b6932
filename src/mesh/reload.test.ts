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

test('the same with many documents, of which some come, go, change and are declared twice', () => {
  const named = (n: number, action: string) =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p${n} }\nspec: { action: ${action}, rules: [{}] }`
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'remove', 'change', 'copy', 'append', 'cut'),
    at: fc.nat(600),
    piece: fc.nat(pieces.length - 2),
  })
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 600 }), fc.array(edit, { maxLength: 12 }), (count, edits) => {
      const texts = Array.from({ length: count }, (_, n) => named(n, 'ALLOW'))
      const file = new SourceFile('a.yaml')
      const loader = new MeshLoader()
      for (const { kind, at, piece } of edits) {
        const place = at % (texts.length + 1)
        if (kind === 'insert') texts.splice(place, 0, pieces[piece] as string)
        else if (kind === 'append') texts.push(named(1000 + at, 'DENY'))
        else if (kind === 'copy') texts.splice(place, 0, texts[at % texts.length] ?? '')
        else if (kind === 'change') texts[place] = named(at, 'DENY')
        else texts.splice(place, kind === 'cut' ? 200 : 1)
        const text = texts.join('\n---\n')
        const { documents } = file.parse(text)
        assert.deepEqual(summary(loader.load(documents)), summary(loadMesh(documents)), `${kind} ${at}`)
      }
    }),
    { numRuns: 60 },
  )
})

function summary({ mesh, diagnostics }: ReturnType<typeof loadMesh>) {
  const { authorizationPolicies, namespaces, services, workloads, config } = mesh
  return {
    policies: authorizationPolicies.map(({ meta, action }) => `${meta.namespace}/${meta.name} ${action}`),
    ...{ namespaces: [...namespaces], services: services.length, workloads: [...workloads.keys()] },
    ...{ trustDomain: config.trustDomain, diagnostics },
  }
}

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
