import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { root } from '../command.mjs'

/** Stages of test files in the order in which they run: what is quickest to tell first. */
const order = ['unit', 'project', 'corpus', 'property', 'scenarios', 'interop', 'differential', 'soak']

/**
 * The compiled test files by stage: `unit` beside the sources, `project` at the top of test/, and one stage for each
 * folder of test/. A folder that the order does not know comes last rather than never.
 * @returns {Map<string, string[]>}
 */
export function findStages() {
  const stages = new Map(order.map((name) => [name, []]))
  for (const file of testFiles('dist')) stages.get('unit').push(file)
  for (const file of testFiles('build/test')) {
    const parts = file.split('/').slice(2)
    const stage = parts.length === 1 ? 'project' : parts[0]
    if (!stages.has(stage)) stages.set(stage, [])
    stages.get(stage).push(file)
  }
  return stages
}

/** The compiled file of a test named by its source or by itself; null when there is none. */
export function compiled(name) {
  const relative = path.relative(root, path.resolve(name)).split(path.sep).join('/')
  const js = relative.replace(/\.ts$/, '.js')
  const file = js.replace(/^src\//, 'dist/').replace(/^test\//, 'build/test/')
  return /\.test\.js$/.test(file) && existsSync(path.join(root, file)) ? file : null
}

function testFiles(folder) {
  if (!existsSync(path.join(root, folder))) return []
  return readdirSync(path.join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name.split(path.sep).join('/')}`)
    .filter((name) => name.endsWith('.test.js'))
    .sort()
}
