import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines, Timed } from './deadlines.ts'

class Noted extends Timed {
  readonly #expired: (at: number) => void

  constructor(milliseconds: number, expired: (at: number) => void) {
    super(performance.now() + milliseconds)
    this.#expired = expired
  }

  override expire(): void {
    this.#expired(performance.now())
  }
}

test('deadlines end what is left, in order and in time, whatever was removed', async () => {
  const deadlines = new Deadlines()
  const ended: number[] = []
  const timed: Noted[] = []
  for (let i = 0; i < 10; i++) {
    const one: Noted = new Noted(60, (at) => {
      assert(at >= one.deadline && at < one.deadline + 200, `${at - one.deadline} ms late`)
      ended.push(i)
    })
    timed.push(one)
    deadlines.add(one)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  // The first, the last, one between, and one twice.
  for (const i of [0, 9, 4, 4]) deadlines.remove(timed[i] as Noted)
  while (ended.length < 7) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.deepEqual(ended, [1, 2, 3, 5, 6, 7, 8])
  // None is left, and the next one is served all the same.
  await new Promise<void>((resolve) => deadlines.add(new Noted(20, () => resolve())))
})

test('what is added while others end has its own time', async () => {
  const deadlines = new Deadlines()
  const began = performance.now()
  const second = await new Promise<number>((resolve) => {
    deadlines.add(new Noted(20, () => deadlines.add(new Noted(20, resolve))))
  })
  assert(second - began >= 40)
})
