import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type AllowOptions,
  type Answer,
  type AuthorizerRequest,
  allOf,
  allow,
  type Check,
  deny,
  error,
  firstOf,
} from '../index.ts'

const request = {} as AuthorizerRequest
const no = (status: number) => deny({ status })
const late =
  (answer: Answer): Check =>
  async () =>
    answer
const early =
  (answer: Answer): Check =>
  () =>
    answer

describe('firstOf', () => {
  for (const [name, make] of [
    ['at once', early],
    ['later', late],
  ] as const) {
    const ask = (...answers: [Answer, ...Answer[]]) => {
      const [first, ...rest] = answers
      return firstOf(make(first), ...rest.map(make))(request)
    }
    test(`the first that allows, ${name}`, async () => {
      assert.deepEqual(await ask(no(401), allow({ headers: { a: '1' } }), allow()), allow({ headers: { a: '1' } }))
      assert.deepEqual(await ask(error(), allow()), allow())
    })
    test(`else the last denial, ${name}`, async () => {
      assert.deepEqual(await ask(no(401), no(403)), no(403))
      assert.deepEqual(await ask(no(401), error()), no(401))
      assert.deepEqual(await ask(error(), no(401)), no(401))
      assert.deepEqual(await ask(error(), error({ status: 500 })), error({ status: 500 }))
    })
  }

  test('those after one that allows are not asked, and one that throws ends it', () => {
    const fails: Check = () => {
      throw new Error('x')
    }
    assert.deepEqual(firstOf(early(allow()), fails)(request), allow())
    assert.throws(() => firstOf(fails, early(allow()))(request), /x/)
    assert(!(firstOf(early(no(401)), early(allow()))(request) instanceof Promise))
  })
})

describe('allOf', () => {
  const a: AllowOptions = {
    headers: { 'X-A': '1', 'x-b': '1' },
    appendHeaders: { 'x-roles': 'a' },
    removeHeaders: ['cookie'],
    responseHeaders: { 'set-cookie': ['a=1'], 'x-one': '1' },
    query: { tenant: 'a', Tenant: 'A' },
    removeQuery: ['debug'],
    metadata: { a: 1, b: 1 },
  }
  const b: AllowOptions = {
    headers: { 'x-a': '2' },
    appendHeaders: { 'X-Roles': 'b' },
    removeHeaders: ['authorization'],
    responseHeaders: { 'set-cookie': ['b=2'], 'x-one': '2' },
    query: { tenant: 'b' },
    removeQuery: ['trace'],
    metadata: { b: 2 },
  }
  for (const make of [early, late]) {
    test(`changes are put together (${make.name})`, async () => {
      assert.deepEqual(
        await allOf(make(allow(a)), make(allow(b)))(request),
        allow({
          headers: { 'x-a': '2', 'x-b': '1' },
          appendHeaders: { 'x-roles': 'a,b' },
          removeHeaders: ['cookie', 'authorization'],
          responseHeaders: { 'set-cookie': ['a=1', 'b=2'], 'x-one': '2' },
          query: { tenant: 'b', Tenant: 'A' },
          removeQuery: ['debug', 'trace'],
          metadata: { a: 1, b: 2 },
        }),
      )
    })
    test(`the first that does not allow (${make.name})`, async () => {
      assert.deepEqual(await allOf(make(allow()), make(no(401)), make(no(403)))(request), no(401))
      assert.deepEqual(await allOf(make(error()), make(no(403)))(request), error())
    })
  }

  test('what is wrong in one answer is not lost among the others', async () => {
    const wrong = allow({ headers: new Map([['x-user', 'a']]) as never })
    assert.equal(await allOf(early(wrong), early(allow()))(request), wrong)
    assert.equal(await allOf(early(allow()), late(wrong))(request), wrong)
  })

  test('there must be a check', () => {
    // @ts-expect-error there is none
    assert.throws(() => allOf(), TypeError)
    // @ts-expect-error an answer is no check
    assert.throws(() => firstOf(allow()), TypeError)
  })
})
