// The backend: answers every request with what arrived.
//   node examples/frontend-backend/backend.mjs [PORT]
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  request.resume()
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify({ method: request.method, path: request.url, headers: request.headers }, null, 2)}\n`)
})

server.listen(Number(process.argv[2] ?? 18082), '127.0.0.1', () => {
  process.stdout.write(`backend: listening on http://127.0.0.1:${server.address().port}\n`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
