import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { catalog } from '#src/source/catalog.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const documents = ['', 'docs'].flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.posix.join(folder, name)),
)

test('docs/diagnostics.md has one line for each code, as the catalog words it', () => {
  const rows = read('docs/diagnostics.md')
    .split('\n')
    .filter((line) => /^\| SP\d/.test(line))
  const expected = Object.entries(catalog).map(([code, { severity, title }]) => `| ${code} | ${severity} | ${title} |`)
  assert.deepEqual(rows, expected)
})

test('links between documents lead to files', () => {
  const broken = documents.flatMap((name) =>
    [...read(name).matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map(([, target]) => path.posix.join(path.posix.dirname(name), target as string))
      .filter((target) => !existsSync(path.join(root, target)))
      .map((target) => `${name}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('files of the examples that documents name are there', () => {
  const missing = documents.flatMap((name) =>
    [...read(name).matchAll(/\bexamples\/[\w./-]+[\w]/g)]
      .map(([file]) => file)
      .filter((file) => !existsSync(path.join(root, file)))
      .map((file) => `${name}: ${file}`),
  )
  assert.deepEqual(missing, [])
})

function read(name: string): string {
  return readFileSync(path.join(root, name), 'utf8')
}
