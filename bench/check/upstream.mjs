// An application that answers at once.
import { createServer } from 'node:http'

const server = createServer((_, response) => {
  response.writeHead(200, { 'content-length': 2 })
  response.end('ok')
}).listen(0, '127.0.0.1', () => process.stdout.write(`127.0.0.1:${server.address().port}\n`))
server.keepAliveTimeout = 60_000
