// Ours, with the SDK. argv: what decides, and over which HTTP/2.

import { fileURLToPath } from 'node:url'
import { createRunOpa } from '../../dist/cli/up/opa-program.js'
import { loadEngine } from '../../dist/extauthz/engines/engine.js'
import { allow, createAuthorizer, deny } from '../../dist/extauthz/index.js'

const [what, file, query] = process.argv.slice(2)
const opa = fileURLToPath(new URL('../../.peers/bin/opa', import.meta.url))
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const authorizer = createAuthorizer({ ...(await checks()), logger: silent })
const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
process.stdout.write(`127.0.0.1:${grpc.port}\n`)

async function checks() {
  if (what === 'header') {
    return { check: ({ headers }) => (headers['x-decide'] === 'allow' ? allow() : deny({ status: 401 })) }
  }
  const engine = what === 'module' ? { kind: 'module', path: file } : { kind: 'rego', path: file, query }
  const loaded = await loadEngine(engine, {
    logger: silent,
    runOpa: createRunOpa({ ...process.env, SALLYPORT_OPA: opa }),
  })
  if (loaded.kind === 'failed') throw new Error(loaded.message)
  return loaded.checks
}
