// The application behind the proxies. It says what reached it, and complains about what never should have.
import { createServer } from 'node:http'

const LARGE = Buffer.alloc(256 * 1024, 'x')

const server = createServer((request, response) => {
  // Requests that are to be refused say so: one that its client gave up on is judged as well.
  if (request.headers['x-soak-expect'] === 'refused') {
    process.stdout.write(`wrong: ${JSON.stringify([request.method, request.url, request.headers])}\n`)
  }
  let bytes = 0
  request.on('error', () => {})
  request.on('data', (chunk) => {
    bytes += chunk.length
  })
  request.on('end', () => {
    response.setHeader('x-application', 'soak')
    if (request.url.startsWith('/open/large')) return response.end(LARGE)
    const body = JSON.stringify({ method: request.method, url: request.url, headers: request.headers, bytes })
    response.setHeader('content-type', 'application/json')
    response.end(body)
  })
})
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {})
  if (request.headers['x-soak-expect'] === 'refused') process.stdout.write(`wrong: upgrade ${request.url}\n`)
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-application: soak\r\n\r\n',
  )
  socket.write(head)
  socket.pipe(socket)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(`listening on ${server.address().port}\n`))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
