#!/usr/bin/env node
// Builds dist/ (the product and the tests beside it) and build/test/. Does nothing when nothing changed.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { generateProto, requireModules } from './proto.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const stamp = join(root, 'build/.inputs')

/** Each compiled project: where its sources are and where tsc puts them. */
const projects = [
  { from: join(root, 'src'), to: dist },
  { from: join(root, 'test'), to: join(root, 'build/test') },
]

/**
 * Brings the build up to date. Returns whether there was anything to do; throws when a step fails.
 * @param {{ force?: boolean, log?: (line: string) => void }} [options]
 */
export function build({ force = false, log = () => {} } = {}) {
  requireModules()
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs() + outputs()) return false
  generateProto({ force, log })
  // Before the compiler runs: the tests find the generated code where the product will have it.
  copyGenerated()
  // Taken before the compiler reads them: what is saved meanwhile is compiled the next time.
  const compiled = inputs()
  log('build: compiling')
  for (const project of projects) prune(project)
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-b', ...(force ? ['--force'] : [])], {
    cwd: root,
    // The compiler's findings are talk: standard output belongs to whoever called.
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) throw new Error('build: the compiler found errors')
  const main = join(dist, 'cli/main.js')
  if (existsSync(main)) chmodSync(main, 0o755)
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, compiled + outputs())
  return true
}

/** One line a file that the result depends on. Times and sizes, not contents: this runs before every command. */
function inputs() {
  const files = ['package.json', 'tsconfig.json', 'tsconfig.base.json', 'scripts/build.mjs', 'scripts/proto.mjs']
  const modules = ['.package-lock.json', 'typescript/package.json', '@grpc/grpc-js-xds/package.json']
  const paths = [
    ...files.map((name) => join(root, name)),
    ...modules.map((name) => join(root, 'node_modules', name)),
    ...projects.flatMap(({ from }) => walk(from)),
  ]
  return paths.map(describe).join('')
}

/** Says which of the results are there, so that a removed folder is built again. */
function outputs() {
  const paths = [join(dist, 'proto/gen/.inputs'), ...projects.map(({ to }) => join(to, '.tsbuildinfo'))]
  return paths.map((path) => `${relative(root, path)} ${existsSync(path) ? 'there' : 'absent'}\n`).join('')
}

function describe(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return `${relative(root, path)} ${stat === undefined ? 'absent' : `${stat.size} ${stat.mtimeMs}`}\n`
}

function walk(dir) {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? walk(join(dir, entry.name)) : [join(dir, entry.name)]))
}

/** Removes what was compiled from a file that is gone, or its old tests would still run. */
function prune({ from, to }) {
  for (const path of walk(to)) {
    const name = relative(to, path)
    const emitted = /^(.*)\.(?:js|js\.map|d\.ts)$/.exec(name)
    if (emitted === null || name.startsWith(join('proto', 'gen') + sep)) continue
    if (!existsSync(join(from, `${emitted[1]}.ts`))) rmSync(path)
  }
}

/** tsc copies neither JavaScript nor declarations that it did not make. */
function copyGenerated() {
  const from = join(root, 'src/proto/gen')
  const to = join(dist, 'proto/gen')
  const copied = join(to, '.inputs')
  if (existsSync(copied) && readFileSync(copied, 'utf8') === readFileSync(join(from, '.inputs'), 'utf8')) return
  rmSync(to, { recursive: true, force: true })
  cpSync(from, to, { recursive: true })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    build({ force: process.argv.includes('--force'), log: (line) => process.stderr.write(`${line}\n`) })
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
