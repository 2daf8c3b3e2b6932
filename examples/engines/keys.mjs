// The issuer's keys for the examples beside this file: the secret of their tokens, as a JSON Web Key Set. Istio verifies
// a token that names no issuer only where keys come from a URI.
//   node examples/engines/keys.mjs [PORT]
import { createServer } from 'node:http'

const jwks = { keys: [{ kty: 'oct', alg: 'HS256', k: Buffer.from('secret').toString('base64url') }] }

const server = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(jwks))
})

server.listen(Number(process.argv[2] ?? 18081), '127.0.0.1', () => {
  process.stdout.write(`keys: listening on http://127.0.0.1:${server.address().port}\n`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
