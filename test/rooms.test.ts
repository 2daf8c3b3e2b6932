import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A room imports only rooms that stand before it. */
const rooms = [
  'proto',
  'observe',
  'source',
  'match',
  'mesh',
  'policy',
  'authn',
  'http2',
  'extauthz',
  'testing',
  'proxy',
  'envoy',
  'tools',
  'admin',
  'cli',
]

/** Rooms of pure logic, which no package may enter. */
const pure = new Set(['observe', 'match', 'policy'])

/** Tests are lists of cases, and may be longer. */
const lineLimit = (name: string) => (name.endsWith('.test.ts') ? 600 : 400)

interface SourceFile {
  /** Relative to src/, with forward slashes. */
  readonly name: string
  readonly text: string
  readonly imports: ReadonlySet<string>
}

const files = new Map(
  listFiles('src')
    .filter((name) => name.endsWith('.ts') && !name.startsWith('proto/gen/'))
    .map((name): [string, SourceFile] => {
      const text = readFileSync(path.join(root, 'src', name), 'utf8')
      return [name, { name, text, imports: importsOf(text) }]
    }),
)

test('there are sources to look at, and the reader of imports sees every form', () => {
  assert.ok(files.size > 20)
  const forms = [
    "import { a } from 'a'",
    "import type { B } from 'b'",
    "import {\n  c,\n  type D,\n} from 'c'",
    "import 'd'",
    "export * from 'e'",
    "export type { F } from 'f'",
    "const g = await import('g')",
    "type H = import('h').H",
    "import i, * as j from 'i'",
  ]
  assert.deepEqual([...importsOf(forms.join('\n'))].sort(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'])
  assert.deepEqual([...importsOf("/**\n * import { a } from 'a'\n */\nexport const text = 'b'\n")], [])
})

test('every source file is in a room', () => {
  for (const name of files.keys()) {
    if (name !== 'index.ts') assert.ok(rooms.includes(roomOf(name)), `src/${name} is in no room`)
  }
})

test('rooms import only rooms above them', () => {
  const wrong: string[] = []
  for (const file of files.values()) {
    // An entry point gathers what a package's user may see; whoever imports it inside answers for all that it gathers.
    if (isEntryPoint(file.name)) continue
    for (const target of reached(file)) {
      const complaint = complain(roomOf(file.name), roomOf(target))
      if (complaint !== null) wrong.push(`src/${file.name} imports src/${target}: ${complaint}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('every relative import leads to a file and is written with its ending', () => {
  const wrong: string[] = []
  for (const file of files.values()) {
    for (const specifier of [...file.imports].filter((name) => name.startsWith('.'))) {
      const target = resolve(file.name, specifier)
      if (target.startsWith('proto/gen/') ? !target.endsWith('.js') : !files.has(target)) {
        wrong.push(`src/${file.name} imports ${specifier}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('packages are imported only where they are declared and allowed', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const wrong: string[] = []
  for (const file of files.values()) {
    const isTest = file.name.includes('.test.')
    const allowed = new Set(Object.keys({ ...manifest.dependencies, ...(isTest ? manifest.devDependencies : {}) }))
    for (const specifier of file.imports) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
      const parts = specifier.split('/')
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] as string)
      if (!allowed.has(name)) wrong.push(`src/${file.name} imports ${specifier}, which package.json does not declare`)
      else if (!isTest && pure.has(roomOf(file.name))) wrong.push(`src/${file.name} imports the package ${name}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('only cli touches the process and standard output', () => {
  const wrong: string[] = []
  for (const { name, text, imports } of files.values()) {
    if (roomOf(name) === 'cli' || name.endsWith('.test.ts')) continue
    if (imports.has('node:process')) wrong.push(`src/${name}`)
    withoutComments(text).forEach((line, index) => {
      if (/(?<![\w.'"`$-])(?:process\??\.\w|console\.(?:log|info|debug|dir|table)\b)/.test(line))
        wrong.push(`src/${name}:${index + 1}: ${line.trim()}`)
      if (/\bglobalThis\.process\b/.test(line)) wrong.push(`src/${name}:${index + 1}: ${line.trim()}`)
    })
  }
  assert.deepEqual(wrong, [])
})

test('no source file is too long to be read at once', () => {
  const long = [...files.values()]
    .map(({ name, text }) => ({ name, lines: text.split('\n').length - 1 }))
    .filter(({ name, lines }) => lines > lineLimit(name))
  assert.deepEqual(long, [])
})

test('files and folders are named by what they hold', () => {
  const vague = /(?:^|[-_./])(?:utils?|helpers?|common|misc|shared)(?:[-_./]|$)/
  const names = ['src', 'test', 'scripts', 'examples'].flatMap((folder) =>
    listFiles(folder).map((name) => `${folder}/${name}`),
  )
  assert.deepEqual(
    names.filter((name) => !name.startsWith('src/proto/gen/') && vague.test(name)),
    [],
  )
})

/** The files that one file imports, entry points replaced by what they import in turn. */
function reached(file: SourceFile, seen = new Set<string>()): Set<string> {
  for (const specifier of file.imports) {
    if (!specifier.startsWith('.')) continue
    const target = resolve(file.name, specifier)
    if (seen.has(target)) continue
    seen.add(target)
    const entry = isEntryPoint(target) ? files.get(target) : undefined
    if (entry !== undefined) reached(entry, seen)
  }
  return seen
}

function complain(from: string, to: string): string | null {
  if (from === to) return null
  if (to === 'proto' && from !== 'extauthz' && from !== 'envoy')
    return 'generated messages are for extauthz and envoy only'
  if (from === 'envoy' && to === 'proxy') return 'the two back ends of the core do not know each other'
  return rooms.indexOf(to) < rooms.indexOf(from) ? null : `${to} is not above ${from}`
}

function isEntryPoint(name: string): boolean {
  return name === 'index.ts' || /^[^/]+\/index\.ts$/.test(name)
}

function roomOf(name: string): string {
  return name.includes('/') ? (name.split('/')[0] as string) : 'index'
}

function resolve(from: string, specifier: string): string {
  return path.posix.join(path.posix.dirname(from), specifier)
}

/** Static, type-only, side-effect, re-exporting and dynamic imports. The formatter puts each at the start of a line. */
function importsOf(text: string): Set<string> {
  const found = new Set<string>()
  for (const [, name] of text.matchAll(/^(?:import|export)\s+(?:[\w*{][^'"=;()]*?\sfrom\s+)?'([^']+)'/gm)) {
    found.add(name as string)
  }
  for (const line of withoutComments(text)) {
    for (const [, name] of line.matchAll(/\bimport\(\s*['"`]([^'"`]+)['"`]/g)) found.add(name as string)
  }
  return found
}

/** The lines, with those that are comments emptied. */
function withoutComments(text: string): string[] {
  return text.split('\n').map((line) => (/^\s*(?:\/\/|\/\*|\*)/.test(line) ? '' : line.replace(/\s\/\/ .*$/, '')))
}

function listFiles(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      path.relative(path.join(root, folder), path.join(entry.parentPath, entry.name)).split(path.sep).join('/'),
    )
    .sort()
}
