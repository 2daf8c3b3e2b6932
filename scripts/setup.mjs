import './node-version.mjs'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { capture, root } from './command.mjs'
import { elapsed, step } from './progress.mjs'

const modules = path.join(root, 'node_modules')
const stamp = path.join(modules, '.sallyport-setup')

/**
 * Makes a clone ready to run: packages as the lock file has them, then a build. Does nothing, and says nothing, where
 * nothing is missing or stale. Throws an Error whose message is fit for the user.
 */
export async function setup() {
  await installPackages()
  await buildAll()
}

/** Compiles the product and the tests beside it, where something changed. */
export async function buildAll() {
  // Imported late: it needs packages that may have been installed just now.
  const { build } = await import('./build.mjs')
  const started = performance.now()
  const log = (line) => process.stderr.write(`  ${line} ...\n`)
  if (build({ log })) process.stderr.write(`  built (${elapsed(performance.now() - started)})\n`)
}

/** Installs what package-lock.json asks for, unless it is there. */
export async function installPackages() {
  const text = readFileSync(path.join(root, 'package-lock.json'))
  const hash = createHash('sha256').update(text).digest('hex')
  if (read(stamp) === hash) return
  if (installedMatches(JSON.parse(text.toString('utf8')))) return mark(hash)
  // `npm ci` empties the folder first, and a linked one is somebody else's.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(
      'node_modules is a link to a folder that does not hold what package-lock.json asks for; update it there',
    )
  }
  await step('installing packages (npm ci)', npmCi)
  mark(hash)
}

async function npmCi() {
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  // Started by npm, the same npm is used again, wherever it is.
  const npm = process.env.npm_execpath
  const { code, output } = npm?.endsWith('.js')
    ? await capture(process.execPath, [npm, ...args])
    : await capture('npm', args)
  if (code !== 0) throw new Error(`npm ci failed (exit code ${code}):\n${output.trimEnd()}`)
}

/** Whether npm's own record of what it installed agrees with the lock file; platform-specific packages may be absent. */
function installedMatches(lock) {
  const record = read(path.join(modules, '.package-lock.json'))
  if (record === null) return false
  const present = JSON.parse(record).packages ?? {}
  return Object.entries(lock.packages).every(([where, wanted]) => {
    if (where === '') return true
    const found = present[where]
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true
    // Of packages for other platforms the lock file may know the version only.
    const same = wanted.integrity === undefined || found.integrity === wanted.integrity
    return same && found.version === wanted.version && existsSync(path.join(root, where))
  })
}

function mark(hash) {
  try {
    writeFileSync(stamp, hash)
  } catch {
    // A read-only folder only costs the comparison again.
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    await setup()
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
