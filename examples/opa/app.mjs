// A small application in the manner of httpbin: GET /headers, /get and /ip say what arrived.
//   node examples/opa/app.mjs [PORT]
import { createServer } from 'node:http'

const answers = {
  '/headers': (request) => ({ headers: request.headers }),
  '/get': (request, query) => ({
    args: Object.fromEntries(new URLSearchParams(query)),
    headers: request.headers,
    origin: request.socket.remoteAddress,
    url: `http://${request.headers.host}${request.url}`,
  }),
  '/ip': (request) => ({ origin: request.headers['x-forwarded-for'] ?? request.socket.remoteAddress }),
}

const server = createServer((request, response) => {
  const [path, query] = request.url.split('?', 2)
  const answer = Object.hasOwn(answers, path) ? answers[path] : null
  const status = answer === null ? 404 : request.method === 'GET' || request.method === 'HEAD' ? 200 : 405
  const body = status === 200 ? answer(request, query) : { error: status === 404 ? 'not found' : 'method not allowed' }
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body, null, 2)}\n`)
})

server.listen(Number(process.argv[2] ?? 18080), '127.0.0.1', () => {
  process.stdout.write(`application: listening on http://127.0.0.1:${server.address().port}\n`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
