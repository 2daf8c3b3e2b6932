// The same header rule on @grpc/grpc-js, with messages by @grpc/proto-loader, as its documentation has it.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import grpc from '@grpc/grpc-js'

const require = createRequire(import.meta.url)
const { loadSync } = require('@grpc/proto-loader')
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps')
const { envoy } = grpc.loadPackageDefinition(
  loadSync('envoy/service/auth/v3/external_auth.proto', {
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(deps, name)),
  }),
)

const ALLOWED = { status: { code: 0 }, okResponse: {} }
const DENIED = { status: { code: 16 }, deniedResponse: { status: { code: 401 } } }

const server = new grpc.Server()
server.addService(envoy.service.auth.v3.Authorization.service, {
  check({ request }, done) {
    done(null, request.attributes?.request?.http?.headers?.['x-decide'] === 'allow' ? ALLOWED : DENIED)
  },
})
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  process.stdout.write(`127.0.0.1:${port}\n`)
})
