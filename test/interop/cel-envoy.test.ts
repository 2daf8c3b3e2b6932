import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isCelError } from '@bufbuild/cel'
import { compileCel } from '#src/extauthz/engines/cel-expression.ts'
import { requestVariables } from '#src/extauthz/engines/cel-variables.ts'
import { type AuthorizerRequest, allow, createAuthorizer } from '#src/extauthz/index.ts'
import { cluster, type Line, send, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')

/** Expressions that give text or a number in both, asked of Envoy's own evaluator and of ours about one request. */
const expressions = [
  'request.path',
  'request.url_path',
  'request.query',
  'request.host',
  'request.method',
  'request.scheme',
  'request.protocol',
  'request.useragent',
  'request.referer',
  'request.id',
  "request.headers['x-a']",
  "request.headers[':path']",
  "request.headers[':method']",
  "'x-a' in request.headers",
  "'x-none' in request.headers",
  'source.address',
  'source.port',
  'destination.address',
  'destination.port',
  'connection.mtls',
]

describe('expressions of CEL give what Envoy gives', { skip: 'skip' in found ? found.skip : false }, () => {
  test('about a request', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-cel-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const log = join(folder, 'log')
    const asked: AuthorizerRequest[] = []
    const check = (request: AuthorizerRequest) => {
      asked.push(request)
      return allow()
    }
    const authorizer = createAuthorizer({ check })
    const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
    const upstream = await startApp((_, response) => response.end('reached'))
    const type = 'type.googleapis.com/envoy.extensions'
    const json_format = Object.fromEntries(expressions.map((text, i) => [`e${i}`, `%CEL(${text})%`]))
    const manager = {
      access_log: [
        {
          name: 'envoy.access_loggers.file',
          typed_config: {
            '@type': `${type}.access_loggers.file.v3.FileAccessLog`,
            path: log,
            log_format: {
              json_format,
              formatters: [{ name: 'envoy.formatter.cel', typed_config: { '@type': `${type}.formatter.cel.v3.Cel` } }],
            },
          },
        },
      ],
    }
    const asking = {
      name: 'envoy.filters.http.ext_authz',
      typed_config: {
        '@type': `${type}.filters.http.ext_authz.v3.ExtAuthz`,
        transport_api_version: 'V3',
        grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '2s' },
      },
    }
    const clusters = [cluster('app', upstream.port), cluster('authz', grpc?.port ?? 0, true)]
    const envoy = await startEnvoy('path' in found ? found.path : '', [asking], clusters, manager)
    t.after(async () => {
      await envoy.stop()
      await authorizer.close()
      upstream.server.closeAllConnections()
      upstream.server.close()
    })
    const lines: Line[] = [
      ['host', 'web.example:8080'],
      ['user-agent', 'test'],
      ['referer', 'http://a/b'],
      ['x-a', '1'],
      ['x-a', '2'],
    ]
    await send(envoy.port, '/a/b?c=d&e=%20', lines, 'PUT')
    let text = ''
    for (let i = 0; i < 100 && text === ''; i++) {
      await delay(50)
      text = readFileSync(log, 'utf8')
    }
    const theirs = JSON.parse(text)
    const [request] = asked
    assert.ok(request)
    const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name, value ?? '']))
    const seen = { request, path: request.path, headers, claims: null }
    const rows = expressions.map((one, i) => {
      const compiled = compileCel(one)
      // Its value is no answer, which is all that may be wrong with it.
      const whole =
        compiled.kind === 'expression'
          ? compiled
          : compileCel(`${one} == ${one} ? {'allow': true, 'body': string(${one})} : false`)
      if (whole.kind === 'problems') assert.fail(`${one}: ${whole.problems[0].message}`)
      const { evaluate, uses } = whole.expression
      const value = evaluate(requestVariables(seen, uses))
      const ours = value instanceof Error || isCelError(value) ? `error: ${value.message}` : String(value)
      return [one, ours, String(theirs[`e${i}`])] as const
    })
    assert.deepEqual(
      rows.map(([one, ours]) => [one, ours]),
      rows.map(([one, , theirs]) => [one, theirs]),
    )
  })
})
