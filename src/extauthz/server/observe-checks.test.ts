import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Span } from '../../observe/trace-context.ts'
import { type Authorizer, type AuthorizerOptions, allow, type CheckDecision, deny } from '../index.ts'
import { check, get, recording, running, start } from './grpc-peers.test.fixture.ts'

/** Does what the path says. */
const obedient: AuthorizerOptions['check'] = (request) => {
  switch (request.pathname) {
    case '/allow':
      return allow()
    case '/throw':
      throw new Error('token abc')
    case '/reject':
      return Promise.reject(new Error('token abc'))
    case '/odd':
      return allow({ headers: { a: 'b\r\n' } })
    case '/hang':
      return new Promise(() => {})
    default:
      return deny({ status: 401, body: 'no' })
  }
}

function samples(authorizer: Authorizer, name: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [, labels = '', value] of authorizer
    .metrics()
    .matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (.*)$`, 'gm'))) {
    found[labels] = Number(value)
  }
  return found
}

test('checks are counted by what became of them, and timed', async () => {
  const { authorizer, client } = await start({ name: 'ns/a', timeout: 30, check: obedient })
  for (const path of ['/allow', '/allow', '/deny', '/throw', '/reject', '/odd', '/hang']) {
    await check(client, get(path))
  }
  await assert.rejects(check(client, get('/hang'), { deadline: Date.now() + 5 }))
  const of = (result: string) => `authorizer="ns/a",engine="sdk",result="${result}"`
  // The server hears of a caller that has gone after the caller has.
  const counted = () => samples(authorizer, 'sallyport_authorizer_checks_total')
  while ((counted()[of('cancelled')] ?? 0) + (counted()[of('timeout')] ?? 0) < 2) await new Promise(setImmediate)
  const { [of('cancelled')]: cancelled = 0, [of('timeout')]: timeout = 0, ...rest } = counted()
  assert.deepEqual(rest, { [of('allow')]: 2, [of('deny')]: 1, [of('error')]: 3 })
  assert.deepEqual([cancelled, timeout], [1, 1])
  assert.deepEqual(samples(authorizer, 'sallyport_authorizer_check_duration_seconds_count'), {
    'authorizer="ns/a",engine="sdk"': 8,
  })
  assert.deepEqual(samples(authorizer, 'sallyport_authorizer_checks_in_flight'), { 'authorizer="ns/a"': 0 })
  const [most] = Object.values(samples(authorizer, 'sallyport_authorizer_check_duration_seconds_sum'))
  assert((most ?? 0) >= 0.03 && (most ?? 0) < 5)
})

test('what is under way and what is connected can be seen, and what is refused unasked', async () => {
  let release = () => {}
  const entered = new Promise<void>((resolve) => {
    running.push(() => resolve())
    release = resolve
  })
  const answers: (() => void)[] = []
  const { authorizer, client } = await start({
    timeout: 60_000,
    check: () => {
      release()
      return new Promise((resolve) => answers.push(() => resolve(allow())))
    },
  })
  const answer = check(client, get('/'))
  await entered
  assert.deepEqual(samples(authorizer, 'sallyport_authorizer_checks_in_flight'), { 'authorizer="authorizer"': 1 })
  assert.deepEqual(samples(authorizer, 'sallyport_authorizer_connections'), {
    'authorizer="authorizer",listener="grpc"': 1,
  })
  answers[0]?.()
  await answer
  const same = (bytes: Buffer) => bytes
  await assert.rejects(
    new Promise((resolve, reject) => {
      client.makeUnaryRequest('/a.B/C', same, same, Buffer.alloc(0), (error) => (error ? reject(error) : resolve(null)))
    }),
  )
  assert.deepEqual(samples(authorizer, 'sallyport_authorizer_refused_total'), {
    'authorizer="authorizer",listener="grpc",reason="unknown_method"': 1,
  })
})

test('decisions are told without secrets, in the form of the proxy', async () => {
  const decisions: CheckDecision[] = []
  const { client } = await start({
    name: 'ns/a',
    check: obedient,
    decisionLog: { write: (one) => decisions.push(one) },
  })
  const secrets = { authorization: 'Bearer s3cret', cookie: 'sid=s3cret', 'x-api-key': 's3cret' }
  const socketAddress = { address: '10.0.0.1', portSpecifier: { case: 'portValue' as const, value: 1 } }
  const { request } =
    get('/deny?access_token=s3cret&a=1', { ...secrets, 'x-request-id': 'r1', 'x-a': '1' }).attributes ?? {}
  await check(client, {
    attributes: {
      source: {
        address: { address: { case: 'socketAddress', value: socketAddress } },
        principal: 'spiffe://td/ns/a/sa/b',
      },
      ...(request === undefined ? {} : { request }),
    },
  })
  await check(client, get('/allow'))
  await check(client, get('/throw'))
  await check(client, { attributes: { source: { principal: 'spiffe://td/ns/a/sa/b' }, tlsSession: { sni: 'db' } } })
  const [denied, allowed, failed, connection] = decisions
  assert(denied && allowed && failed && connection)
  assert(!JSON.stringify(decisions).includes('s3cret') && !JSON.stringify(decisions).includes('abc'))
  const { time, durationMs, request: shown, ...rest } = denied
  assert.deepEqual(rest, {
    id: 'r1',
    authorizer: 'ns/a',
    decision: 'deny',
    status: 401,
    body: 'no',
    phase: 'custom',
    policy: null,
    details: 'ext_authz_denied',
    result: 'deny',
  })
  assert(Math.abs(Date.parse(time) - Date.now()) < 60_000 && durationMs >= 0)
  assert.deepEqual(shown.source, { principal: 'td/ns/a/sa/b', ip: '10.0.0.1' })
  assert.equal(shown.path, '/deny?access_token=[masked]&a=1')
  assert.deepEqual(new Map(shown.headers).get('authorization'), '[masked]')
  assert.deepEqual(new Map(shown.headers).get('x-a'), '1')
  assert.deepEqual([allowed.decision, allowed.status, allowed.body, allowed.result], ['allow', 200, null, 'allow'])
  assert.deepEqual([failed.decision, failed.status, failed.result], ['deny', 403, 'error'])
  assert.deepEqual(
    [connection.status, connection.request.method, connection.request.destination.sni],
    [null, undefined, 'db'],
  )
})

test('what a denial answers the client is told at most in part, and without tokens', async () => {
  const told: CheckDecision[] = []
  const token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.c2ln`
  const { client } = await start({
    check: () => deny({ status: 401, body: `your token ${token} ${'x'.repeat(10_000)}` }),
    decisionLog: { write: (one) => told.push(one) },
  })
  await check(client, get('/'))
  const body = told[0]?.body ?? ''
  assert.match(body, /^your token \[masked\] x+…$/)
  assert.ok(body.length <= 513)
})

test('a level and a share leave out allowed checks, never the others', async () => {
  for (const [options, expected] of [
    [{ level: 'denied' }, ['deny']],
    [{ sample: 0 }, ['deny']],
    [{ sample: 1 }, ['allow', 'deny']],
  ] as const) {
    const told: string[] = []
    const write = (one: CheckDecision) => told.push(one.decision)
    const { client } = await start({ check: obedient, decisionLog: { write, ...options } })
    await check(client, get('/allow'))
    await check(client, get('/deny'))
    assert.deepEqual(told, expected)
  }
})

test('a log that throws changes no decision', async () => {
  const { logger, lines } = recording()
  const { client } = await start({
    check: obedient,
    logger,
    decisionLog: {
      write() {
        throw new Error('token abc')
      },
    },
  })
  assert.equal((await check(client, get('/allow'))).status?.code, 0)
  assert.deepEqual(lines, [['a check could not be told of', { error: 'Error' }]])
})

test('the trace of a request goes on, if its caller records it', async () => {
  const spans: Span[] = []
  const { client } = await start({ name: 'ns/a', check: obedient, onSpan: (span) => spans.push(span) })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const ask = (path: string, traceparent?: string) =>
    check(client, get(path, traceparent === undefined ? {} : { traceparent }))
  await ask('/allow?token=s3cret', `00-${traceId}-b7ad6b7169203331-01`)
  await ask('/deny', `00-${traceId}-b7ad6b7169203332-01`)
  await ask('/throw', `00-${traceId}-b7ad6b7169203333-03`)
  await ask('/allow', `00-${traceId}-b7ad6b7169203331-00`)
  await ask('/allow', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`)
  await ask('/allow')
  assert.deepEqual(
    spans.map(({ parentSpanId, failed, attributes }) => [parentSpanId, failed, attributes['sallyport.result']]),
    [
      ['b7ad6b7169203331', false, 'allow'],
      ['b7ad6b7169203332', false, 'deny'],
      ['b7ad6b7169203333', true, 'error'],
    ],
  )
  const [first] = spans
  assert(first)
  assert.equal(first.traceId, traceId)
  assert.match(first.spanId, /^[0-9a-f]{16}$/)
  assert(first.start <= first.end && Math.abs(first.end - Date.now()) < 60_000)
  assert.deepEqual(first.attributes['url.path'], '/allow')
  assert(!JSON.stringify(spans).includes('s3cret'))
})
