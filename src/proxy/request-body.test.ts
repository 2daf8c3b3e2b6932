import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, test } from 'node:test'
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
