import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { look, type Watcher, watchPaths } from './watch.ts'

interface Watched {
  readonly folder: string
  /** Resolves when a change is reported that was not waited for yet. */
  next(): Promise<void>
  /** How many were reported. */
  count(): number
}

/** Looking is left out unless a test is about it, so that what is seen was an event. */
async function watched(
  t: TestContext,
  paths: (folder: string) => readonly string[],
  poll = 3_600_000,
): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-watch-'))
  writeFileSync(join(folder, 'a.yaml'), 'a: 1\n')
  const waiting: (() => void)[] = []
  let reported = 0
  let taken = 0
  const since = await look(paths(folder))
  const watcher: Watcher = watchPaths({
    paths: () => paths(folder),
    since,
    changed: async () => {
      reported++
      waiting.shift()?.()
    },
    poll,
  })
  t.after(() => {
    watcher.close()
    rmSync(folder, { recursive: true })
  })
  await watcher.watching
  return {
    folder,
    next: async () => {
      if (++taken > reported) await new Promise<void>((resolve) => waiting.push(resolve))
      taken = reported
    },
    count: () => reported,
  }
}

test('a file that is created, changed, replaced and removed in a folder is seen each time', async (t) => {
  const { folder, next } = await watched(t, (folder) => [folder])
  writeFileSync(join(folder, 'b.yaml'), 'b: 1\n')
  await next()
  writeFileSync(join(folder, 'b.yaml'), 'b: 22\n')
  await next()
  writeFileSync(join(folder, '.b.yaml.tmp'), 'b: 22\n')
  renameSync(join(folder, '.b.yaml.tmp'), join(folder, 'b.yaml'))
  await next()
  unlinkSync(join(folder, 'b.yaml'))
  await next()
})

test('a file that was named is seen when it is replaced by another, and when it comes back', async (t) => {
  const { folder, next } = await watched(t, (folder) => [join(folder, 'a.yaml')])
  writeFileSync(join(folder, 'new'), 'a: 1\n')
  renameSync(join(folder, 'new'), join(folder, 'a.yaml'))
  await next()
  unlinkSync(join(folder, 'a.yaml'))
  await next()
  writeFileSync(join(folder, 'a.yaml'), 'a: 1\n')
  await next()
})

test('the link that a mounted ConfigMap swaps is seen', async (t) => {
  const { folder, next } = await watched(t, (folder) => [folder])
  for (const version of ['one', 'two']) {
    mkdirSync(join(folder, `..${version}`))
    writeFileSync(join(folder, `..${version}`, 'policy.yaml'), `version: ${version}\n`)
  }
  symlinkSync('..one', join(folder, '..data'))
  symlinkSync(join('..data', 'policy.yaml'), join(folder, 'policy.yaml'))
  await next()
  symlinkSync('..two', join(folder, '..new'))
  renameSync(join(folder, '..new'), join(folder, '..data'))
  await next()
})

test('a folder that is added is watched, also when it was empty at first', async (t) => {
  const { folder, next, count } = await watched(t, (folder) => [folder])
  mkdirSync(join(folder, 'sub'))
  // An event of its own tells that the folder has been looked at.
  writeFileSync(join(folder, 'c.yaml'), 'c: 1\n')
  await next()
  const before = count()
  writeFileSync(join(folder, 'sub', 'd.yaml'), 'd: 1\n')
  await next()
  assert.ok(count() > before)
  rmSync(join(folder, 'sub'), { recursive: true })
  await next()
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'sub', 'd.yaml'), 'd: 1\n')
  await next()
  writeFileSync(join(folder, 'sub', 'd.yaml'), 'd: 22\n')
  await next()
})

test('a file that no command reads is no change', async (t) => {
  const { folder, next, count } = await watched(t, (folder) => [folder])
  writeFileSync(join(folder, 'notes.txt'), 'hello\n')
  writeFileSync(join(folder, '.a.yaml.swp'), 'hello\n')
  writeFileSync(join(folder, 'b.yaml'), 'b: 1\n')
  await next()
  assert.equal(count(), 1)
})

test('a change between reading and watching is not missed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-watch-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const since = await look([folder])
  writeFileSync(join(folder, 'a.yaml'), 'a: 1\n')
  await new Promise<void>((resolve) => {
    const watcher = watchPaths({
      paths: () => [folder],
      since,
      changed: async () => resolve(),
      poll: 3_600_000,
    })
    t.after(() => watcher.close())
  })
})

test('changes while one is being applied lead to one more call, after it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-watch-'))
  const file = join(folder, 'a.yaml')
  let active = 0
  let most = 0
  let release = () => {}
  const applied: Promise<void>[] = []
  const calls: (() => void)[] = []
  const called = [0, 1].map(() => new Promise<void>((resolve) => calls.push(resolve)))
  const watcher = watchPaths({
    paths: () => [folder],
    since: await look([folder]),
    changed: async () => {
      most = Math.max(most, ++active)
      calls.shift()?.()
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      applied.push(held)
      await held
      active--
    },
    poll: 20,
  })
  t.after(() => {
    watcher.close()
    rmSync(folder, { recursive: true })
  })
  await watcher.watching
  writeFileSync(file, 'a: 1\n')
  await called[0]
  writeFileSync(file, 'a: 22\n')
  writeFileSync(file, 'a: 333\n')
  release()
  await called[1]
  release()
  assert.equal(most, 1)
})

test('without events a change is found by looking', async (t) => {
  // The folder does not exist when it is watched, so no event can tell of it.
  const { folder, next } = await watched(t, (folder) => [join(folder, 'later', 'a.yaml')], 20)
  mkdirSync(join(folder, 'later'))
  writeFileSync(join(folder, 'later', 'a.yaml'), 'a: 1\n')
  await next()
})
