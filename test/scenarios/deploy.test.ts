import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { parse, parseAllDocuments } from 'yaml'
import type { CheckOutcome } from '#src/extauthz/check.ts'
import { encodeCheckRequest } from '#src/extauthz/check-request.ts'
import { parseCheckResponse } from '#src/extauthz/check-response.ts'
import { askAbout, type TestRequest } from '#src/testing/test-request.ts'
import { ask } from './exchange.ts'
import { Program } from './program.ts'
import { Sallyport } from './sallyport.ts'
import { examplePath, freePorts, readExample, Stage } from './stage.ts'

const stage = new Stage()
after(() => stage.end())

// biome-ignore lint/suspicious/noExplicitAny: of parsed YAML
type Tree = any

const health = examplePath('deploy/health.mjs')

/** Runs the health check as a container does; resolves with its exit code and what it says. */
async function probe(port: number): Promise<[number | null, string | undefined]> {
  const program = new Program('health.mjs', [health, `127.0.0.1:${port}`, '5000'])
  const code = await program.ended
  return [code, program.lines.stdout[0]]
}

/** Asks an authorizer as Sallyport's own proxy does. */
function check(port: number, request: TestRequest): Promise<CheckOutcome> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  const message = Buffer.from(encodeCheckRequest(askAbout(request), { packAsBytes: true }))
  const same = (bytes: Buffer) => bytes
  return new Promise<CheckOutcome>((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, reply?: Buffer) =>
      error === null && reply !== undefined ? resolve(parseCheckResponse(reply)) : reject(error)
    const options = { deadline: Date.now() + 10_000 }
    client.makeUnaryRequest('/envoy.service.auth.v3.Authorization/Check', same, same, message, options, done)
  }).finally(() => client.close())
}

/** The arguments of a container, with its folder at another place. */
function moved(args: readonly string[], from: string, to: string): string[] {
  return args.map((arg) => (arg === from || arg.startsWith(`${from}/`) ? to + arg.slice(from.length) : arg))
}

async function started(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Sallyport> {
  const program = new Sallyport(args, env)
  stage.ending(() => program.stop())
  await program.line('stderr', /^ready$/)
  return program
}

describe('examples/deploy/kubernetes', () => {
  const resources: Tree[] = parseAllDocuments(readExample('deploy/kubernetes/authorizer.yaml')).map((one) => one.toJS())
  const find = (kind: string) => resources.find((one) => one.kind === kind)

  /** As the kubelet mounts a ConfigMap: a change is one rename of a link to a folder. */
  function mount(folder: string, version: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(path.join(folder, version), { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, version, name), text)
    symlinkSync(version, path.join(folder, '..data_tmp'))
    renameSync(path.join(folder, '..data_tmp'), path.join(folder, '..data'))
  }

  test('the container serves what its ConfigMap says, follows changes of it, and ends in time', async () => {
    const { port } = await freePorts('port')
    const { data } = find('ConfigMap')
    const pod = find('Deployment').spec.template.spec
    const [container] = pod.containers
    const files: Record<string, string> = { ...data }
    files['authorizer.yaml'] = data['authorizer.yaml'].replace('0.0.0.0:9191', `127.0.0.1:${port}`)
    const folder = stage.path('kubernetes')
    mount(folder, '..v1', files)
    for (const name of Object.keys(files)) symlinkSync(`..data/${name}`, path.join(folder, name))
    const program = await started(moved(container.args, container.volumeMounts[0].mountPath, folder))

    assert.deepEqual(await probe(port), [0, 'serving'])
    assert.equal((await check(port, { method: 'GET' })).kind, 'allow')
    const denied = await check(port, { method: 'POST' })
    assert(denied.kind === 'deny')
    assert.deepEqual([denied.status, Buffer.from(denied.body).toString()], [403, '{"error":"read only"}'])
    const principal = 'spiffe://cluster.local/ns/shop/sa/admin'
    assert.equal((await check(port, { method: 'POST', source: { principal } })).kind, 'allow')

    const changed = (files['authorizer.ts'] ?? '').replace("method === 'GET'", "method === 'HEAD'")
    const { kind, lines } = await program.reload(() => {
      mount(folder, '..v2', { ...files, 'authorizer.ts': changed })
      rmSync(path.join(folder, '..v1'), { recursive: true })
    })
    assert.equal(kind, 'applied', lines.join('\n'))
    assert.equal((await check(port, { method: 'GET' })).kind, 'deny')

    const asked = performance.now()
    assert.equal(await program.stop(), 0)
    const left = pod.terminationGracePeriodSeconds - container.lifecycle.preStop.sleep.seconds
    assert(performance.now() - asked < left * 1000)
    assert.deepEqual(await probe(port), [1, 'ECONNREFUSED'])
  })
})

describe('examples/deploy/systemd', () => {
  test('the command of the unit serves a folder', async () => {
    const unit = readExample('deploy/systemd/sallyport-authorizer.service')
    const [, ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? []
    const { port } = await freePorts('port')
    stage.copy(
      'authorizers/authorizer.yaml',
      'systemd/authorizer.yaml',
      ['127.0.0.1:9191', `127.0.0.1:${port}`],
      ['8000', 0],
    )
    stage.copy('authorizers/rate-limit.ts', 'systemd/rate-limit.ts')
    const program = await started(moved(args, '/etc/sallyport', stage.path('systemd')))
    assert.deepEqual(await probe(port), [0, 'serving'])
    assert.equal((await check(port, {})).kind, 'allow')
    assert.equal(await program.stop(), 0)
  })
})

describe('examples/deploy/compose.yaml', () => {
  const { services }: Tree = parse(readExample('deploy/compose.yaml'), { merge: true })

  /** What a service mounts, below a folder of the stage, with texts replaced. */
  function mounted(name: string, ...replacements: [string, string][]): string {
    for (const volume of services[name].volumes as string[]) {
      const [from = '', to = ''] = volume.split(':')
      let text = readFileSync(examplePath(path.join('deploy', from)), 'utf8')
      for (const [before, after] of replacements) text = text.replaceAll(before, after)
      stage.write(`compose/${name}${to}`, text)
    }
    return stage.path('compose', name)
  }

  test('the application is behind a sidecar that asks the authorizer', async () => {
    const { port, application, listener } = await freePorts('port', 'application', 'listener')
    const { authorizer, proxy, app } = services
    const etc = (folder: string) => path.join(folder, 'etc/sallyport')
    const authorizerFiles = mounted('authorizer', ['0.0.0.0:9191', `127.0.0.1:${port}`])
    await started(moved(authorizer.command, '/etc/sallyport', etc(authorizerFiles)), { API_KEYS: 'web=secret-1' })
    assert.deepEqual(authorizer.healthcheck.test.slice(0, 2), ['CMD', 'node'])
    assert.deepEqual(await probe(port), [0, 'serving'])

    const [node, script, applicationPort] = app.command
    assert.deepEqual([node, applicationPort], ['node', '18080'])
    const program = new Program('app', [mounted('app') + script, String(application)])
    stage.ending(() => program.stop())
    await program.line('stdout', /listening/)

    const proxyFiles = mounted(
      'proxy',
      ['address: authorizer', 'address: localhost'],
      ['9191', String(port)],
      ['0.0.0.0', '127.0.0.1'],
      ['18080', String(application)],
      ['8080', String(listener)],
    )
    const [up = '', ...options] = moved(
      moved(proxy.command, '/etc/sallyport', etc(proxyFiles)),
      '/tmp/ca',
      stage.path('compose-ca'),
    )
    assert.equal(up, 'up')
    await stage.up(...options)

    const key = (value: string) => ask(listener, '/headers', { headers: { 'x-api-key': value, 'x-team': 'admin' } })
    const passed = await key('secret-1')
    assert.equal(passed.status, 200)
    const { headers } = JSON.parse(passed.body)
    assert.deepEqual([headers['x-team'], headers['x-api-key']], ['web', undefined])
    const refused = await key('secret-2')
    assert.deepEqual([refused.status, refused.headers['www-authenticate']], [401, 'ApiKey realm="shop"'])
  })
})
