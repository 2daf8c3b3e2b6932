import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RequestBody } from './request-body.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const endings: (() => unknown)[] = []
after(() => {
  for (const end of endings.reverse()) end()
})

test('a body that comes octet by octet takes no more memory than twice what it is', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => server.close())
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  endings.push(() => client.destroy())
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  const [request, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  const size = 200_000
  collect()
  const before = process.memoryUsage()
  const body = new RequestBody(request, response, null, false)
  const buffered = body.buffer({ maxRequestBytes: 1 << 20, allowPartialMessage: true, packAsBytes: true })
  let came = 0
  const all = new Promise<void>((resolve) => {
    request.on('data', () => ++came === size && resolve())
  })
  client.write('1\r\nx\r\n'.repeat(size))
  await all
  collect()
  const now = process.memoryUsage()
  const held = now.heapUsed + now.arrayBuffers - before.heapUsed - before.arrayBuffers
  client.write('0\r\n\r\n')
  const read = await buffered
  assert(read.kind === 'read' && read.body.bytes.length === size)
  // The octets of the wire among them.
  assert(held < 6_000_000, `${held} octets are held`)
  response.end()
})

/** What becomes of a client that sends on behind its answer, and reads only then. */
async function sendOnBehindAnswer(lines: string): Promise<{ answer: string; failure: string | null; ms: number }> {
  const server = createServer((request, response) => {
    const body = new RequestBody(request, response, null, false)
    response.once('close', () => server.emit('answered'))
    response.writeHead(403, { 'content-length': 6 })
    response.end('denied')
    body.discard()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answered = once(server, 'answered')
  endings.push(() => server.close())
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let failure: string | null = null
  client.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code ?? error.message
  })
  client.pause()
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${lines}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`)
  await answered
  // Were the connection closed, the first of these would be answered with a reset and the second would fail.
  for (let i = 0; i < 5; i++) {
    client.write('1\r\nx\r\n')
    await delay(20)
  }
  client.write('0\r\n\r\n')
  const since = performance.now()
  let answer = ''
  client.setEncoding('latin1').on('data', (text) => {
    answer += text
    if (answer.endsWith('denied') && lines === '') client.end()
  })
  client.resume()
  if (!client.closed) await once(client, 'close')
  return { answer, failure, ms: performance.now() - since }
}

test('the last answer of a connection reaches a client that is still sending', async () => {
  const { answer, failure, ms } = await sendOnBehindAnswer('Connection: close\r\n')
  assert.equal(failure, null)
  assert.match(answer, /^HTTP\/1\.1 403 [\s\S]*denied$/)
  // The end of the body ends the connection: nothing is waited for.
  assert(ms < 800, `it was closed after ${ms} ms`)
})

test('an answer before the end of the body leaves the connection to its client', async () => {
  const { answer, failure } = await sendOnBehindAnswer('')
  assert.equal(failure, null)
  assert.match(answer, /^HTTP\/1\.1 403 [\s\S]*denied$/)
})
