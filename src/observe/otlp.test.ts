import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { Fields, Logger } from './log.ts'
import { createOtlpExporter } from './otlp.ts'
import { parseTraceparent, type Span } from './trace-context.ts'

const running: (() => unknown)[] = []
after(() => Promise.all(running.map((end) => end())))

const span: Span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: 'b7ad6b7169203332',
  name: 'check',
  start: 1_700_000_000_000.25,
  end: 1_700_000_000_001.5,
  attributes: { a: 'x', b: 2, c: 0.5, d: true },
  failed: true,
}

/** A collector that answers with a status, and keeps what it was sent. */
async function collector(status: () => number) {
  const posts: { readonly headers: IncomingMessage['headers']; readonly body: string }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    posts.push({ headers: request.headers, body })
    response.writeHead(status()).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { posts, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` }
}

function recording(): { logger: Logger; lines: [string, Fields | undefined][] } {
  const lines: [string, Fields | undefined][] = []
  const add = (message: string, fields?: Fields) => lines.push([message, fields])
  return { logger: { level: 'debug', debug: add, info: add, warn: add, error: add }, lines }
}

test('spans are posted as OTLP in JSON', async () => {
  const { posts, url } = await collector(() => 200)
  const { logger } = recording()
  const exporter = createOtlpExporter({ url, headers: { 'x-tenant': 't' }, serviceName: 'authz', fetch, logger })
  exporter.export(span)
  exporter.export({ ...span, failed: false })
  await exporter.close()
  assert.equal(posts.length, 1)
  assert.deepEqual([posts[0]?.headers['content-type'], posts[0]?.headers['x-tenant']], ['application/json', 't'])
  const { resourceSpans } = JSON.parse(posts[0]?.body ?? '')
  assert.deepEqual(resourceSpans[0].resource.attributes, [{ key: 'service.name', value: { stringValue: 'authz' } }])
  const [first, second] = resourceSpans[0].scopeSpans[0].spans
  assert.deepEqual(first, {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: 'check',
    kind: 2,
    startTimeUnixNano: '1700000000000250000',
    endTimeUnixNano: '1700000000001500000',
    attributes: [
      { key: 'a', value: { stringValue: 'x' } },
      { key: 'b', value: { intValue: '2' } },
      { key: 'c', value: { doubleValue: 0.5 } },
      { key: 'd', value: { boolValue: true } },
    ],
    status: { code: 2 },
  })
  assert.equal(second.status, undefined)
  assert.equal(exporter.dropped, 0)
})

test('what a collector does not take is dropped, counted, and said once', async () => {
  let status = 503
  const { url, posts } = await collector(() => status)
  const { logger, lines } = recording()
  const exporter = createOtlpExporter({ url, headers: {}, serviceName: 'a', fetch, logger })
  // Many at once are posted at once, and more than the queue holds are left out.
  for (let i = 0; i < 5000; i++) exporter.export(span)
  const left = exporter.dropped
  assert(left > 2000, String(left))
  await exporter.close()
  assert.equal(lines.length, 1)
  assert.deepEqual(lines[0]?.[1]?.reason, 'status 503')
  assert(exporter.dropped > left)
  const before = posts.length
  status = 200
  exporter.export(span)
  const dropped = exporter.dropped
  while (posts.length === before || exporter.dropped !== dropped) await exporter.close()
})

test('a traceparent is read as W3C has it', () => {
  const id = '0af7651916cd43dd8448eb211c80319c'
  const parent = 'b7ad6b7169203331'
  const rows: [string | undefined, boolean | null][] = [
    [`00-${id}-${parent}-01`, true],
    [`00-${id}-${parent}-00`, false],
    [`00-${id}-${parent}-ff`, true],
    [`cc-${id}-${parent}-01-what-comes-later`, true],
    [`cc-${id}-${parent}-01`, true],
    [`00-${id}-${parent}-01-more`, null],
    [`ff-${id}-${parent}-01`, null],
    [`00-${id.toUpperCase()}-${parent}-01`, null],
    [`00-${'0'.repeat(32)}-${parent}-01`, null],
    [`00-${id}-${'0'.repeat(16)}-01`, null],
    [`00-${id}-${parent}-1`, null],
    [`00-${id}-${parent}-01,00-${id}-${parent}-01`, null],
    ['', null],
    [undefined, null],
  ]
  for (const [text, sampled] of rows) assert.equal(parseTraceparent(text)?.sampled ?? null, sampled, text)
  assert.deepEqual(parseTraceparent(`00-${id}-${parent}-01`), { traceId: id, spanId: parent, sampled: true })
})
