import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { frameMessage } from '../grpc-framing.ts'
import { MessageSplitter } from './message-splitter.ts'

const limit = 1000

/** What a splitter gives for octets that come `size` at a time, and what it still holds. */
function split(octets: Buffer, size: number) {
  const splitter = new MessageSplitter(limit)
  const messages: string[] = []
  let most = 0
  for (let from = 0; from < octets.length; from += size) {
    const to = Math.min(octets.length, from + size)
    const problem = splitter.push(octets, from, to, (message) => messages.push(Buffer.from(message).toString('latin1')))
    most = Math.max(most, splitter.held)
    if (problem !== null) return { messages, problem, most, atBoundary: splitter.atBoundary }
  }
  return { messages, problem: null, most, atBoundary: splitter.atBoundary }
}

test('messages come whole, wherever they are cut', () => {
  const texts = ['a', '', 'bc', 'x'.repeat(limit), '', 'end']
  const octets = Buffer.concat(texts.map((text) => frameMessage(Buffer.from(text))))
  for (const size of [1, 2, 3, 4, 5, 6, 7, 11, 500, 1004, 1005, octets.length]) {
    const { messages, problem, most, atBoundary } = split(octets, size)
    assert.deepEqual(messages, texts, `${size} at a time`)
    assert.equal(problem, null)
    assert(atBoundary)
    assert(most < 5 + limit, String(most))
  }
})

test('a message is not written over by those behind it', () => {
  const splitter = new MessageSplitter(limit)
  const kept: Uint8Array[] = []
  const octets = Buffer.concat(['one', 'two', 'six'].map((text) => frameMessage(Buffer.from(text))))
  for (let i = 0; i < octets.length; i++) splitter.push(octets, i, i + 1, (message) => kept.push(message))
  octets.fill(0)
  assert.deepEqual(
    kept.map((message) => Buffer.from(message).toString()),
    ['one', 'two', 'six'],
  )
})

test('what cannot be read is known from its prefix, and what came before it is given', () => {
  const first = frameMessage(Buffer.from('first'))
  const cases = [
    ['compressed', Buffer.from([1, 0, 0, 0, 1])],
    ['malformed', Buffer.from([2, 0, 0, 0, 1])],
    ['tooLarge', Buffer.from([0, 0, 0, 3, 233])],
  ] as const
  for (const [problem, prefix] of cases) {
    for (const size of [1, 4, 1000]) {
      assert.deepEqual(split(Buffer.concat([first, prefix]), size).problem, problem)
      assert.deepEqual(split(Buffer.concat([first, prefix]), size).messages, ['first'])
    }
  }
  assert.equal(split(Buffer.from([0, 0, 0, 0]), 1).atBoundary, false)
})
