import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { peer } from '../interop/peers.ts'
import { generate } from './generate.ts'
import { allRows } from './listed.ts'
import { describeDisagreement } from './report.ts'
import { runCases } from './run.ts'
import { differenceOf } from './shrink.ts'
import { withWorld } from './world.ts'

const found = peer('envoy')
const seed = Number(process.env.SALLYPORT_SEED ?? 20261122)
const cases = Number(process.env.SALLYPORT_CASES ?? 500)

test(`${cases} random cases are decided alike by every engine (seed ${seed})`, {
  skip: 'skip' in found ? found.skip : false,
  timeout: 110_000,
}, async () => {
  const envoy = 'path' in found ? found.path : ''
  await withWorld({ envoy, istio: null, keep: false }, async (world) => {
    const engines = new Set(['interpret', 'compile', 'proxy', 'rules', 'matcher'] as const)
    const result = await runCases(world, { seed, cases, engines, istioEvery: 0, progress: () => {} })
    const texts: string[] = []
    for (const { one } of result.disagreements) {
      // A machine under load can make any timeout expire: what counts shows again.
      const difference = await differenceOf(world, engines, one)
      if (difference !== null) texts.push(describeDisagreement({ one, difference }, world))
    }
    assert.deepEqual([...texts, ...result.problems.map(({ message }) => message)], [])
    assert.equal(result.cases, cases)
  })
})

test('a seed makes the same cases', () => {
  assert.deepEqual(generate(7, 3), generate(7, 3))
  assert.notDeepEqual(generate(7, 3), generate(8, 3))
})

test('every difference that is made on purpose is in the document', () => {
  const path = fileURLToPath(new URL('../../../docs/differences.md', import.meta.url))
  const rows = new Set(
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(' | ')[0]?.replace(/^\| /, '')),
  )
  assert.deepEqual(
    allRows.filter((row) => !rows.has(row)),
    [],
  )
})
