// The frontend: passes every request on to the backend through its sidecar's way out, and answers with the answer.
//   node examples/frontend-backend/frontend.mjs [PORT] [WAY_OUT]
import { request as call, createServer } from 'node:http'

const wayOut = new URL(process.argv[3] ?? 'http://127.0.0.1:18000')

const server = createServer((request, response) => {
  const headers = { host: 'backend.default.svc.cluster.local' }
  for (const name of ['content-type', 'content-length', 'transfer-encoding']) {
    if (request.headers[name] !== undefined) headers[name] = request.headers[name]
  }
  const options = { host: wayOut.hostname, port: wayOut.port, method: request.method, path: request.url, headers }
  const outgoing = call(options, (answer) => {
    response.writeHead(answer.statusCode, { 'content-type': answer.headers['content-type'] ?? 'text/plain' })
    answer.pipe(response)
  })
  outgoing.once('error', (error) => {
    if (!response.headersSent) response.writeHead(502, { 'content-type': 'text/plain' })
    response.end(`the way out failed: ${error.message}\n`)
  })
  request.pipe(outgoing)
})

server.listen(Number(process.argv[2] ?? 18012), '127.0.0.1', () => {
  process.stdout.write(`frontend: listening on http://127.0.0.1:${server.address().port}\n`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
