#!/usr/bin/env node
// Generates src/proto/gen (JavaScript with declarations) from the Envoy API files that @grpc/grpc-js-xds brings along.
// Works offline: no remote modules, no remote plugins.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const output = join(root, 'src/proto/gen')
const stamp = join(output, '.inputs')

/** What is generated, with everything that it imports. */
const entries = [
  'envoy/service/auth/v3/external_auth.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
]

const deps = '@grpc/grpc-js-xds/deps'
const roots = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(modules, deps, name))
const reflection = join(root, 'src/proto/reflection.proto')
const own = {
  'grpc/health/v1/health.proto': join(root, 'src/proto/health.proto'),
  'grpc/reflection/v1/reflection.proto': reflection,
  'grpc/reflection/v1alpha/reflection.proto': reflection,
}

/** The files that shipped are older than the annotations in use and than Envoy 1.40's CheckResponse. */
const patches = {
  'validate/validate.proto': [
    { unless: 'ignore_empty = 26', after: 'message StringRules {', insert: '  optional bool ignore_empty = 26;' },
  ],
  'envoy/service/auth/v3/external_auth.proto': [
    {
      unless: 'error_response',
      after: 'OkHttpResponse ok_response = 3;',
      insert: 'DeniedHttpResponse error_response = 5;',
    },
  ],
}

/** Packages without which nothing can be generated or compiled. */
export function requireModules() {
  const needed = ['@grpc/grpc-js-xds', '@bufbuild/buf', '@bufbuild/protoc-gen-es', '@bufbuild/protobuf', 'typescript']
  const missing = needed.filter((name) => !existsSync(join(modules, name, 'package.json')))
  if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}; run 'npm ci' first`)
}

/**
 * Generates when the inputs differ from those of the last time. Returns whether it did.
 * @param {{ force?: boolean, log?: (line: string) => void }} [options]
 */
export function generateProto({ force = false, log = () => {} } = {}) {
  requireModules()
  const sources = collect()
  const hash = fingerprint(sources)
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return false
  log(`proto: generating ${sources.size} files`)
  mkdirSync(join(root, 'build'), { recursive: true })
  const work = mkdtempSync(join(root, 'build/proto-'))
  try {
    generate(work, sources)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  writeFileSync(stamp, hash)
  return true
}

function generate(work, sources) {
  for (const [name, text] of sources) {
    mkdirSync(dirname(join(work, 'src', name)), { recursive: true })
    writeFileSync(join(work, 'src', name), text)
  }
  writeFileSync(join(work, 'buf.yaml'), 'version: v2\nmodules:\n  - path: src\n')
  const template = {
    version: 'v2',
    plugins: [{ local: 'protoc-gen-es', out: 'gen', opt: ['target=js+dts', 'import_extension=js'] }],
  }
  writeFileSync(join(work, 'buf.gen.yaml'), JSON.stringify(template))
  const bin = join(modules, '.bin')
  execFileSync(join(bin, 'buf'), ['generate'], {
    cwd: work,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, BUF_CACHE_DIR: join(work, 'cache') },
  })
  rmSync(output, { recursive: true, force: true })
  cpSync(join(work, 'gen'), output, { recursive: true })
}

/** Every file that the entries reach, patched, by its import name. Well-known types come with buf and the runtime. */
function collect() {
  const found = new Map()
  const queue = [...entries]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name) || name.startsWith('google/protobuf/')) continue
    const text = patch(name, readFileSync(locate(name), 'utf8'))
    found.set(name, text)
    for (const match of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) queue.push(match[1])
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function locate(name) {
  if (own[name] !== undefined) return own[name]
  const path = roots.map((dir) => join(dir, name)).find((path) => existsSync(path))
  if (path === undefined) throw new Error(`proto: ${name} is in none of the folders of ${deps}`)
  return path
}

function patch(name, text) {
  // The older version of reflection has the same messages in another package.
  let patched = name.includes('/v1alpha/') ? text.replace(/^(package [\w.]+\.v1);/m, '$1alpha;') : text
  for (const { unless, after, insert } of patches[name] ?? []) {
    if (patched.includes(unless)) continue
    const at = patched.indexOf(after)
    if (at === -1) throw new Error(`proto: ${name} has no line '${after}' to patch`)
    patched = `${patched.slice(0, at + after.length)}\n${insert}\n${patched.slice(at + after.length)}`
  }
  return patched
}

function fingerprint(sources) {
  const hash = createHash('sha256')
  hash.update(readFileSync(fileURLToPath(import.meta.url)))
  for (const name of ['@bufbuild/buf', '@bufbuild/protoc-gen-es']) {
    hash.update(JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version)
  }
  for (const [name, text] of sources) hash.update(`${name}\0${text}\0`)
  return hash.digest('hex')
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    generateProto({ force: process.argv.includes('--force'), log: (line) => process.stderr.write(`${line}\n`) })
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
