import assert from 'node:assert/strict'
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(read('package.json'))

test('the packed files are the product and its documents, nothing else', () => {
  const npm = process.env.npm_execpath
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const options: ExecFileSyncOptionsWithStringEncoding = {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }
  // Started by npm, the same npm is asked again, wherever it is.
  const output = npm?.endsWith('.js')
    ? execFileSync(process.execPath, [npm, ...args], options)
    : execFileSync('npm', args, options)
  const listing = JSON.parse(output)
  // npm 10 prints a list of packages, npm 11 an object by name.
  const packed = Array.isArray(listing) ? listing[0] : (listing[manifest.name] ?? listing)
  const files = new Set((packed.files as { path: string }[]).map((file) => file.path))
  for (const name of ['dist/cli/main.js', 'LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']) {
    assert.ok(files.has(name), `${name} is not packed`)
  }
  const stray = [...files].filter((name) =>
    /\.test\.|\.fixture\.|\.map$|\.tsbuildinfo$|^(?:src|test|scripts|build)\//.test(name),
  )
  assert.deepEqual(stray, [])
  const sources = [...files].filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  assert.deepEqual(sources, [])
})

test('everything that package.json exports is built, and can be imported', async () => {
  for (const [name, target] of Object.entries(manifest.exports as Record<string, string | Record<string, string>>)) {
    for (const file of typeof target === 'string' ? [target] : Object.values(target)) {
      assert.ok(existsSync(path.join(root, file)), `${name} leads to ${file}, which is not there`)
    }
    if (typeof target === 'string') continue
    const specifier = `${manifest.name}${name.slice(1)}`
    const module = await import(specifier)
    assert.ok(Object.keys(module).length > 0, `${specifier} exports nothing`)
  }
})

test('the program can be started by its name', () => {
  for (const file of Object.values(manifest.bin as Record<string, string>)) {
    assert.match(read(file), /^#!\/usr\/bin\/env node\n/)
  }
})

test('every dependency has its reason in ARCHITECTURE.md', () => {
  const text = read('ARCHITECTURE.md')
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
  assert.deepEqual(
    names.filter((name) => !text.includes(`\`${name}\``)),
    [],
  )
})

test('tracked files name no folder of this machine, and the lock file no address', (t) => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved":/)
  assert.doesNotMatch(read('.npmrc'), /registry\s*=/)
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  if (listed.status !== 0) return t.skip('git does not list the files here')
  const tracked = listed.stdout.split('\0')
  const home = path.join(homedir(), '/')
  // A short home such as `/home` would be found in many an innocent line.
  const places = [root, ...(home.split('/').length > 3 ? [home] : [])]
  const wrong: string[] = []
  for (const name of tracked) {
    const file = path.join(root, name)
    if (name === '' || !existsSync(file)) continue
    const text = readFileSync(file, 'latin1')
    for (const place of places) if (text.includes(place)) wrong.push(`${name}: ${place}`)
  }
  assert.deepEqual(wrong, [])
})

test('no tracked file holds a private key', (t) => {
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  if (listed.status !== 0) return t.skip('git does not list the files here')
  // A whole line of PEM, or a JWK with a private member beside a public one; words about keys are neither.
  const pem = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/]{40}/
  const jwk = /"kty"\s*:\s*"(?:RSA|EC|OKP)"[^{}]*"d"\s*:\s*"[\w-]{40}|"d"\s*:\s*"[\w-]{40}[^{}]*"kty"/
  const wrong = listed.stdout.split('\0').filter((name) => {
    const file = path.join(root, name)
    if (name === '' || !existsSync(file)) return false
    const text = readFileSync(file, 'latin1')
    return pem.test(text) || jwk.test(text)
  })
  assert.deepEqual(wrong, [])
})

test('the lock file knows the packages of every platform, or a clean install refuses it', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const missing = Object.entries(packages).flatMap(([where, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined && packages[`${where}/node_modules/${name}`] === undefined,
    ),
  )
  assert.deepEqual(missing, [])
})

test('the examples compile against the package as its users see it', () => {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  try {
    execFileSync(process.execPath, [tsc, '-p', 'examples'], { cwd: root, encoding: 'utf8' })
  } catch (error) {
    assert.fail((error as { stdout: string }).stdout)
  }
})

function read(name: string): string {
  return readFileSync(path.join(root, name), 'utf8')
}
