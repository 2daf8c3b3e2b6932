import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { readBundle } from './bundle.ts'

/** Packs files with the system's `tar`. */
function pack(files: Readonly<Record<string, string>>, format = 'gnu'): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, 'in', name)), { recursive: true })
      writeFileSync(join(folder, 'in', name), text)
    }
    execFileSync('tar', ['czf', join(folder, 'out.tar.gz'), `--format=${format}`, '-C', join(folder, 'in'), '.'])
    return readFileSync(join(folder, 'out.tar.gz'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function read(packed: Buffer, entrypoint = 'a/b') {
  const reading = await readBundle(packed, entrypoint)
  if (reading.kind === 'failed') return reading.message
  return { wasm: reading.bundle.wasm?.toString() ?? null, data: JSON.parse(reading.bundle.data) }
}

test('the policy and its data are found, whatever wrote the archive', async () => {
  const deep = `${'long-name/'.repeat(15)}data.json`
  const files = {
    'policy.wasm': 'code',
    'data.json': '{"a":1}',
    'x/y/data.json': '{"z":[true]}',
    [deep]: '2',
    'x.rego': '',
  }
  const nested = deep
    .split('/')
    .slice(0, -1)
    .reduceRight<unknown>((value, name) => ({ [name]: value }), 2)
  const data = { a: 1, x: { y: { z: [true] } }, ...(nested as object) }
  for (const format of ['gnu', 'pax', 'ustar']) {
    assert.deepEqual(await read(pack(files, format)), { wasm: 'code', data }, format)
  }
})

test('of several modules the manifest names the one for the entry point', async () => {
  const wasm = [
    { entrypoint: 'c/d', module: '/c.wasm' },
    { entrypoint: 'a/b', module: '/a.wasm' },
  ]
  const files = { '.manifest': JSON.stringify({ wasm }), 'a.wasm': 'A', 'c.wasm': 'C' }
  assert.deepEqual(await read(pack(files)), { wasm: 'A', data: {} })
  assert.deepEqual(await read(pack({ ...files, '.manifest': 'no JSON' })), { wasm: null, data: {} })
})

test('a bundle without WebAssembly has its data all the same', async () => {
  assert.deepEqual(await read(pack({ 'data.json': '{}', 'p.rego': 'package a' })), { wasm: null, data: {} })
})

test('numbers of the data keep what a double would lose', async () => {
  const reading = await readBundle(pack({ 'data.json': '{"n":12345678901234567890}' }), 'a')
  assert.ok(reading.kind === 'read' && reading.bundle.data === '{"n":12345678901234567890}')
})

test('what cannot be read is said', async () => {
  assert.match(String(await read(Buffer.from('x'))), /gzip/)
  assert.match(String(await read(gzipSync(Buffer.alloc(1000, 'x')))), /no tar/)
  assert.match(String(await read(gzipSync(Buffer.alloc(10)))), /ends early/)
  assert.match(String(await read(pack({ 'data.json': '{' }))), /data\.json is no JSON/)
  assert.match(String(await read(pack({ 'data.json': '[]' }))), /data\.json/)
  assert.match(String(await read(pack({ 'a/data.yaml': 'x: 1' }))), /a\/data\.yaml is YAML/)
  assert.match(String(await read(pack({ 'data.json': '{"a":1}', 'a/data.json': '2' }))), /another file of data/)
  const whole = pack({ 'policy.wasm': 'code'.repeat(1000) })
  assert.match(String(await read(whole.subarray(0, whole.length - 20))), /gzip/)
})

test('an archive that unpacks to very much is refused', async () => {
  assert.match(String(await read(gzipSync(Buffer.alloc(257 * 1024 * 1024)))), /unpacks to more/)
})
