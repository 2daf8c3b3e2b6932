import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { parseHeaderTemplate } from './header-template.ts'
import { loadMesh } from './load.ts'
import { validateMesh } from './validate.ts'

test('text, percent signs, headers and values', () => {
  assert.deepEqual(parseHeaderTemplate(''), { kind: 'parsed', parts: [] })
  assert.deepEqual(parseHeaderTemplate('a%%b%PROTOCOL%%REQ(X-User?X-Other):8%'), {
    kind: 'parsed',
    parts: [
      { kind: 'text', text: 'a' },
      { kind: 'text', text: '%' },
      { kind: 'text', text: 'b' },
      { kind: 'value', of: 'PROTOCOL' },
      { kind: 'header', name: 'x-user', otherwise: 'x-other', length: 8 },
    ],
  })
})

test('what is no variable, or one that is not known here', () => {
  for (const [text, named] of [
    ['100%', '%'],
    ['50% of it', '% of it'],
    ['%REQ()%', '%REQ()%'],
    ['%PROTOCOL(x)%', '%PROTOCOL(x)%'],
    ['%HOSTNAME%', '%HOSTNAME%'],
    ['a%REQ(x%', '%REQ(x%'],
  ] as const) {
    assert.deepEqual(parseHeaderTemplate(text), { kind: 'unknown', text: named }, text)
  }
})

test('such a header is said at its place', () => {
  const text = `extensionProviders:
- name: authz
  envoyExtAuthzHttp:
    service: authz.local
    port: 80
    includeAdditionalHeadersInCheck: { x-a: "%REQ(a)%", x-b: "%HOSTNAME%" }
`
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', text).documents)
  assert.deepEqual(diagnostics, [])
  const found = validateMesh(mesh).filter(({ code }) => code === 'SP256')
  assert.deepEqual(
    found.map(({ line, column, message }) => [line, column, message]),
    [[6, 57, '`%HOSTNAME%` is no variable that is known here: the header is not sent']],
  )
})
