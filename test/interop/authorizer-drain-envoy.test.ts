import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { Agent, request, type Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type Authorizer, allow, createAuthorizer, type ListenOptions } from '#src/extauthz/index.ts'
import { freePorts, Stage } from '../scenarios/stage.ts'
import { cluster, type RunningEnvoy, startApp, startEnvoy } from './envoy.ts'
import { make } from './odd-certificates.ts'
import { peer } from './peers.ts'

const found = peer('envoy')
const stage = new Stage()
after(() => stage.end())

function grpcFilter(): object {
  return {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '5s' },
    },
  }
}

function httpFilter(): object {
  return {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      http_service: { server_uri: { uri: 'http://authz', cluster: 'authz', timeout: '5s' } },
    },
  }
}

/** The cluster of an authorizer at these addresses, with what else Envoy is to know of it. */
function authz(addresses: readonly object[], more: object = {}): object {
  const [first] = addresses
  assert(first !== undefined)
  return {
    ...cluster('authz', 1, true),
    load_assignment: {
      cluster_name: 'authz',
      endpoints: [{ lb_endpoints: addresses.map((address) => ({ endpoint: { address } })) }],
    },
    ...more,
  }
}

const tcp = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const watchful = {
  timeout: '1s',
  interval: '0.05s',
  no_traffic_interval: '0.05s',
  unhealthy_threshold: 1,
  healthy_threshold: 1,
  grpc_health_check: { service_name: 'envoy.service.auth.v3.Authorization' },
}

let judged = 0
async function start(listen: ListenOptions): Promise<Authorizer & { readonly port: number }> {
  const authorizer = createAuthorizer({
    logger: { level: 'error', debug() {}, info() {}, warn() {}, error() {} },
    check: async () => {
      judged++
      return allow()
    },
  })
  stage.ending(() => authorizer.close({ grace: 0 }))
  const { grpc } = await authorizer.listen(listen)
  return Object.assign(authorizer, { port: grpc?.port ?? 0 })
}

describe('real Envoy and the life of its authorizer', { skip: 'skip' in found ? found.skip : false }, () => {
  let app: { port: number; server: Server }

  before(async () => {
    app = await startApp((_, response) => response.end('app'))
    stage.ending(() => {
      app.server.closeAllConnections()
      app.server.close()
    })
  })

  async function envoy(filter: object, asked: object): Promise<RunningEnvoy> {
    const running = await startEnvoy('path' in found ? found.path : '', [filter], [cluster('app', app.port), asked])
    stage.ending(() => running.stop())
    return running
  }

  function status(port: number, agent?: Agent): Promise<number> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/', ...(agent === undefined ? { agent: false } : { agent }) }
      request(options, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode ?? 0))
      })
        .once('error', reject)
        .end()
    })
  }

  /** Asks all the while, twenty at a time, until `meanwhile` is over; how often each status was seen. */
  async function load(port: number, meanwhile: () => Promise<unknown>): Promise<Map<number, number>> {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    const seen = new Map<number, number>()
    let over = false
    const asking = Array.from({ length: 20 }, async () => {
      while (!over) {
        const one = await status(port, agent)
        seen.set(one, (seen.get(one) ?? 0) + 1)
      }
    })
    try {
      await meanwhile()
    } finally {
      over = true
      await Promise.all(asking)
      agent.destroy()
    }
    return seen
  }

  test('it asks over mutual TLS, and without the right name it is refused before anything is judged', async () => {
    const root = make({ subject: 'root', authority: true }, null)
    const file = (name: string, text: string) => {
      writeFileSync(stage.path(name), text)
      return stage.path(name)
    }
    const ca = file('root.crt', root.certificate)
    const server = make({ uris: ['spiffe://td/ns/default/sa/authz'] }, root)
    const tls = {
      certificate: file('server.crt', server.certificate),
      key: file('server.key', server.pem),
      clientCa: ca,
      allow: ['spiffe://td/ns/istio-system/sa/*'],
    }
    const { port } = await start({ grpc: { listen: '127.0.0.1:0', tls } })
    const asking = (account: string) => {
      const { certificate, pem } = make({ uris: [`spiffe://td/ns/${account}`] }, root)
      const context = {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: {
          alpn_protocols: ['h2'],
          tls_certificates: [
            { certificate_chain: { inline_string: certificate }, private_key: { inline_string: pem } },
          ],
          validation_context: {
            trusted_ca: { filename: ca },
            match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: 'spiffe://td/ns/default/sa/authz' } }],
          },
        },
      }
      const transport = { name: 'envoy.transport_sockets.tls', typed_config: context }
      return envoy(grpcFilter(), authz([tcp(port)], { transport_socket: transport }))
    }
    const gateway = await asking('istio-system/sa/gateway')
    judged = 0
    assert.equal(await status(gateway.port), 200)
    assert.equal(judged, 1)
    const stranger = await asking('other/sa/x')
    assert.equal(await status(stranger.port), 403)
    assert.equal(judged, 1)
  })

  test('it asks over a unix socket, in both forms', async () => {
    const grpc = stage.path('g.sock')
    const http = stage.path('h.sock')
    await start({ grpc: `unix:${grpc}`, http: `unix:${http}` })
    const first = await envoy(grpcFilter(), authz([{ pipe: { path: grpc } }]))
    assert.equal(await status(first.port), 200)
    const second = await envoy(httpFilter(), {
      ...authz([{ pipe: { path: http } }]),
      typed_extension_protocol_options: {},
    })
    assert.equal(await status(second.port), 200)
  })

  test('connections that come of age under load are replaced, and nothing is refused', async () => {
    const { port, metrics } = await start({ grpc: { listen: '127.0.0.1:0', maxConnectionAge: 100 } })
    const { port: proxy } = await envoy(grpcFilter(), authz([tcp(port)]))
    const checked = () => Number(/checks_total\{.*result="allow"\} (\d+)/.exec(metrics())?.[1] ?? 0)
    const seen = await load(proxy, async () => {
      while (checked() < 4000) await new Promise((done) => setTimeout(done, 20))
    })
    assert.deepEqual([...seen.keys()], [200], JSON.stringify([...seen]))
  })

  test('of two processes one is told to end under load, and nothing is refused', async () => {
    stage.write(
      'replica/engine.ts',
      `import { allow } from 'sallyport/extauthz'\nexport default () => allow({ headers: { 'x-pid': String(process.pid) } })\n`,
    )
    const replicas = await Promise.all(
      ['a', 'b'].map(async (name) => {
        const { grpc } = await freePorts('grpc')
        stage.write(
          `replica/${name}.yaml`,
          `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: ${name} }
spec:
  grpc: { listen: 127.0.0.1:${grpc} }
  engine: { module: { path: ./engine.ts } }
`,
        )
        const options = ['--drain-delay', '1s', '--health-port', '0', '--metrics-port', '0', '--decisions', 'all']
        const program = stage.sallyport('authorizer', '-f', stage.path(`replica/${name}.yaml`), ...options)
        await program.line('stderr', /^ready$/)
        return { grpc, program }
      }),
    )
    const [first, second] = replicas
    assert(first && second)
    const asked = authz(
      replicas.map(({ grpc }) => tcp(grpc)),
      { health_checks: [watchful] },
    )
    const { port: proxy } = await envoy(grpcFilter(), asked)
    const checks = async ({ program }: typeof first, count: number) => {
      const from = program.lines.stdout.length
      await program.until(() => (program.lines.stdout.length >= from + count ? true : undefined), `${count} checks`)
    }
    const seen = await load(proxy, async () => {
      await Promise.all([checks(first, 100), checks(second, 100)])
      first.program.signal('SIGTERM')
      assert.equal(await first.program.ended, 0)
      await checks(second, 100)
    })
    assert.deepEqual([...seen.keys()], [200], JSON.stringify([...seen]))
  })

  test('of two replicas one drains under load, and nothing is refused', async () => {
    const replicas = [await start({ grpc: '127.0.0.1:0' }), await start({ grpc: '127.0.0.1:0' })]
    const asked = authz(
      replicas.map(({ port }) => tcp(port)),
      { health_checks: [watchful] },
    )
    const { port: proxy } = await envoy(grpcFilter(), asked)
    const [first, second] = replicas
    assert(first && second)
    const checks = (of: Authorizer) => Number(/checks_total\{.*result="allow"\} (\d+)/.exec(of.metrics())?.[1] ?? 0)
    const seen = await load(proxy, async () => {
      while (checks(first) < 200 || checks(second) < 200) await new Promise((done) => setTimeout(done, 20))
      await first.close({ delay: 500 })
      const before = checks(second)
      while (checks(second) < before + 200) await new Promise((done) => setTimeout(done, 20))
    })
    assert.deepEqual([...seen.keys()], [200], JSON.stringify([...seen]))
  })
})
