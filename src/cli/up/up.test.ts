import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { allow, createAuthorizer } from '../../extauthz/index.ts'
import { type Answer, folderOf, program, root, sallyport, start } from '../terminal.test.fixture.ts'
import { application, freePort, takenPort } from './ports.test.fixture.ts'

/** Nothing but the proxies, and nothing of the user's. */
const QUIET = ['--health-port', '0', '--metrics-port', '0', '--admin-port', '0', '--ca-dir', 'ca']

/** A copy of an example that this test may change. */
function exampleIn(t: TestContext, name: string): string {
  const folder = folderOf(t, {})
  cpSync(join(root, 'examples', name), folder, { recursive: true })
  return folder
}

function edit(folder: string, file: string, change: (text: string) => string): void {
  const path = join(folder, file)
  writeFileSync(path, change(readFileSync(path, 'utf8')))
}

const hello: RequestListener = (_, response) => response.end('hello')

async function refused(answer: Promise<Answer>, code: number, expected: RegExp): Promise<void> {
  const { stdout, stderr, code: actual } = await answer
  assert.match(stderr, expected)
  assert.doesNotMatch(stderr, /^ +at .*:\d+|internal error:/m)
  assert.deepEqual([stdout, actual], ['', code], stderr)
}

test('what the command line lacks or contradicts is a usage error', async () => {
  const mesh = ['-f', 'examples/opa/mesh.yaml']
  const web = [...mesh, '--workload', 'default/httpbin-with-opa']
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [mesh, /nothing to run: no Sidecar .* and there is no Authorizer/],
    [web, /has no place to listen\n.*kind: Sidecar.*defaultEndpoint/s],
    [[...mesh, '--workload', 'default/httpbin-with-op'], /did you mean `default\/httpbin-with-opa`\?/],
    [[...web, '--listen', '8080=127.0.0.1:0'], /no Sidecar says where its application is/],
    [[...web, '--listen', 'x', '--app', '3000'], /--listen: `x` is no port/],
    [[...web, '--listen', '80', '--app', 'here'], /--app: `here` is no port/],
    [[...mesh, '--app', '3000'], /--app needs --workload NAMESPACE\/NAME/],
    [[...web, '--label', 'x'], /--label needs NAME=VALUE/],
    [[...web, '--cert', 'a'], /--cert, --key and --ca go together/],
    [[...web, '--key', 'a', '--ca', 'b'], /--cert, --key and --ca go together/],
    [[...web, '--cert', 'a', '--key', 'b', '--ca', 'c', '--ca-dir', 'd'], /--ca-dir is for the development CA/],
    [[...web, '--admin-port', '99999'], /--admin-port: `99999` is no port/],
    [[...web, '-o', 'jsonl'], /--output: `jsonl` .*\n {2}did you mean `json`/],
  ]
  for (const [argv, expected] of cases) await refused(sallyport(['up', ...argv]), 2, expected)
  await refused(sallyport(['authorizer', ...mesh]), 2, /the files hold no Authorizer/)
})

test('a mistake in the files keeps the proxy from starting, in the words of analyze', async () => {
  const { stderr, stdout, code } = await sallyport(['up', '-f', 'examples/mistakes'])
  assert.deepEqual([stdout, code], ['', 3])
  const words = (await sallyport(['analyze', 'examples/mistakes'])).stdout.split('\n')
  const said = stderr.trimEnd().split('\n')
  assert.equal(said.filter((line) => line.includes(': error: ')).length, 6)
  assert.deepEqual(
    said.filter((line) => !words.includes(line)),
    [],
  )
})

test('a port in use is named at the place that asks for it', async (t) => {
  const port = await takenPort(t)
  const cwd = exampleIn(t, 'frontend-backend')
  edit(cwd, 'sidecars.yaml', (text) => text.replace('18011', String(port)))
  const files = ['workloads.yaml', 'addresses.yaml', 'sidecars.yaml'].flatMap((file) => ['-f', file])
  const up = (more: readonly string[]) => sallyport(['up', ...files, ...QUIET, ...more], { cwd })
  const frontend = ['--workload', 'default/frontend']
  await refused(
    up(frontend),
    3,
    new RegExp(
      `^sidecars\\.yaml:11:7: error: 127\\.0\\.0\\.1:${port} is in use .*\\n.*--listen ${port}=127\\.0\\.0\\.1:PORT`,
      'm',
    ),
  )
  edit(cwd, 'sidecars.yaml', (text) => text.replaceAll(String(port), '18011').replaceAll('18000', String(port)))
  const moved = [...frontend, '--listen', '18011=127.0.0.1:0']
  await refused(up(moved), 3, new RegExp(`^sidecars\\.yaml:16:7: error: 127\\.0\\.0\\.1:${port} is in use`, 'm'))
  const listen = ['--workload', 'default/backend', '--listen', `18081=127.0.0.1:${port}`]
  await refused(up(listen), 3, new RegExp(`^--listen: error: 127\\.0\\.0\\.1:${port} is in use`, 'm'))
})

test('an authorizer that cannot be served is named at its place', async (t) => {
  const taken = await takenPort(t)
  const good = readFileSync(join(root, 'examples/opa/authorizer.ts'), 'utf8')
  const cases: readonly (readonly [string | null, RegExp])[] = [
    ['throw new Error("boom")', /^authorizer\.yaml:10:15: error: the engine cannot be loaded: boom \[SP502\]$/m],
    [
      'export const x = 1',
      /^authorizer\.yaml:10:15: error: .*neither a function nor an object with `check\(request\)`/m,
    ],
    ['export default { check: 1 }', /neither a function nor an object/],
    ['export const = 1', /^authorizer\.yaml:10:15: error: .*ERROR: Expected identifier/m],
    [null, /^authorizer\.yaml:10:15: error: .*Cannot find module '[^']*absent\.ts' \[SP502\]$/m],
    [good, new RegExp(`^authorizer\\.yaml:7:11: error: cannot listen here: .*${taken}.* \\[SP501\\]$`, 'm')],
  ]
  for (const [module, expected] of cases) {
    const cwd = exampleIn(t, 'opa')
    edit(cwd, 'authorizer.yaml', (text) => text.replace('9191', String(module === good ? taken : 0)))
    if (module === null) edit(cwd, 'authorizer.yaml', (text) => text.replace('./authorizer.ts', './absent.ts'))
    else writeFileSync(join(cwd, 'authorizer.ts'), module)
    await refused(sallyport(['authorizer', '-f', 'authorizer.yaml'], { cwd }), 3, expected)
    const argv = ['up', '-f', '.', '--workload', 'default/httpbin-with-opa', '--listen', '80=127.0.0.1:0', ...QUIET]
    await refused(sallyport(argv, { cwd }), 3, expected)
  }
})

test('certificates that cannot be had keep the proxy from starting', async (t) => {
  const cwd = folderOf(t, { file: 'not a folder', 'a.pem': 'not a certificate' })
  const web = ['-f', join(root, 'examples/opa/mesh.yaml'), '--workload', 'default/httpbin-with-opa']
  const up = (...more: string[]) =>
    sallyport(['up', ...web, '--listen', '80=127.0.0.1:0', '--app', '3000', ...more], { cwd })
  await refused(up('--ca-dir', join(cwd, 'file/ca')), 3, /^certificates: error: .*not a directory.* \[SP503\]$/m)
  await refused(up('--cert', 'absent.pem', '--key', 'a', '--ca', 'b'), 3, /^certificates: error: .*absent\.pem/m)
  const pem = join(cwd, 'a.pem')
  await refused(up('--cert', pem, '--key', pem, '--ca', pem), 3, /^certificates: error: .*a\.pem/m)
  await refused(up('--jwks-ca', 'absent.pem'), 3, /^error: absent\.pem: no such file or folder$/m)
})

test('readiness waits for providers where it is told to, and health names those that are gone', async (t) => {
  const port = await freePort()
  const health = await freePort()
  const metrics = await freePort()
  const cwd = exampleIn(t, 'opa')
  edit(cwd, 'mesh.yaml', (text) => text.replaceAll('9191', String(port)))
  const argv = [
    'up',
    '-f',
    'mesh.yaml',
    '--workload',
    'default/httpbin-with-opa',
    '--ca-dir',
    'ca',
    '--admin-port',
    '0',
  ]
  const ports = ['--health-port', String(health), '--metrics-port', String(metrics)]
  const app = await application(t, hello)
  const place = ['--listen', '80=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  const up = start(t, [...argv, ...ports, ...place, '--ready-when', 'providers'], { cwd })
  await up.hears(/^ready$/m)
  const readiness = async () => {
    const answer = await fetch(`http://127.0.0.1:${health}/healthz/ready`)
    return [answer.status, await answer.text()]
  }
  await up.hears(/does not answer/)
  assert.deepEqual(await readiness(), [503, 'not ready\nprovider opa.local: no endpoint answers\n'])
  const gauge = async () => {
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
    return /^sallyport_provider_reachable\{provider="opa.local"\} (.)$/m.exec(text)?.[1]
  }
  assert.equal(await gauge(), '0')
  const authorizer = createAuthorizer({ check: () => allow() })
  t.after(() => authorizer.close({ grace: 0 }))
  await authorizer.listen({ grpc: `127.0.0.1:${port}` })
  await up.hears(/provider opa\.local answers/)
  assert.deepEqual(await readiness(), [200, 'ready\n'])
  assert.equal(await gauge(), '1')
  assert.equal((await up.stop()).code, 0)
})

test('a provider that does not answer at start is a warning, and what it would decide is refused', async (t) => {
  const port = await freePort()
  const cwd = exampleIn(t, 'opa')
  edit(cwd, 'mesh.yaml', (text) => text.replaceAll('9191', String(port)))
  const argv = ['up', '-f', 'mesh.yaml', '--workload', 'default/httpbin-with-opa', ...QUIET]
  const app = await application(t, hello)
  const up = start(t, [...argv, '--listen', '80=127.0.0.1:0', '--app', `127.0.0.1:${app}`], { cwd })
  await up.hears(/does not answer/)
  const talk = await up.hears(/^ready$/m)
  assert.match(talk, /warn .*provider opa\.local does not answer; requests that ask it are refused with 403/)
  const at = /inbound default\/httpbin-with-opa:80 at (\S+)/.exec(await up.hears(/^ready$/m))?.[1]
  assert.equal((await fetch(`http://${at}/headers`)).status, 403)
  const free = await fetch(`http://${at}/ip`)
  assert.deepEqual([free.status, await free.text()], [200, 'hello'])
  const { code, stdout } = await up.stop()
  assert.equal(code, 0)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ decision, phase, provider, details }) => [decision, phase, provider, details]),
    [
      ['deny', 'custom', 'opa.local', 'ext_authz_error'],
      ['allow', 'none', undefined, null],
    ],
  )
  // What it logged is what explain reads.
  const again = await sallyport(
    ['explain', '-f', 'mesh.yaml', '--workload', 'default/httpbin-with-opa', '--requests', '-', '-o', 'jsonl'],
    { cwd, stdin: stdout },
  )
  assert.equal(again.code, 0, again.stderr)
  const explained = again.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).decision)
  assert.deepEqual(explained, ['ask', 'allow'])
})

test('a changed file takes effect, a bad one does not, and standard input stays', async (t) => {
  const app = await application(t, hello)
  const cwd = exampleIn(t, 'frontend-backend')
  const files = ['-f', 'workloads.yaml', '-f', 'policy.yaml', '-f', '-']
  writeFileSync(join(cwd, 'policy.yaml'), '')
  const listen = ['--workload', 'default/backend', '--listen', '80=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  const stdin = policy('stdin', 'DENY', '/stdin')
  const up = start(t, ['up', ...files, ...listen, ...QUIET], { cwd, stdin })
  const at = /inbound default\/backend:80 at (\S+)/.exec(await up.hears(/^ready$/m))?.[1]
  const status = async (path: string) => (await fetch(`http://${at}${path}`)).status
  assert.deepEqual([await status('/'), await status('/stdin')], [200, 403])
  writeFileSync(join(cwd, 'policy.yaml'), policy('file', 'DENY', '/file'))
  await up.hears(/^applied: /m)
  assert.deepEqual([await status('/'), await status('/stdin'), await status('/file')], [200, 403, 403])
  writeFileSync(join(cwd, 'policy.yaml'), policy('file', 'DENI', '/file'))
  assert.match(await up.hears(/^kept: /m), /^policy\.yaml:5:3: error: .*DENI/m)
  assert.deepEqual([await status('/'), await status('/stdin'), await status('/file')], [200, 403, 403])
})

function policy(name: string, action: string, path: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec:
  action: ${action}
  rules: [{ to: [{ operation: { paths: [${path}] } }] }]
`
}

test('an authorizer whose changed file is bad goes on as it was', async (t) => {
  const cwd = exampleIn(t, 'opa')
  edit(cwd, 'authorizer.yaml', (text) => text.replace('127.0.0.1:9191', '127.0.0.1:0').replace('grpc', 'http'))
  writeFileSync(join(cwd, 'authorizer.ts'), 'export default { check: () => ({ allow: true }) }')
  const running = start(t, ['authorizer', '-f', 'authorizer.yaml'], { cwd })
  const at = /http=(\S+)/.exec(await running.hears(/^ready$/m))?.[1]
  const before = (await fetch(`http://${at}/x`)).status
  writeFileSync(join(cwd, 'authorizer.ts'), 'throw new Error("boom")')
  assert.match(await running.hears(/^kept: /m), /^authorizer\.yaml:10:15: error: the engine cannot be loaded: boom/m)
  assert.equal((await fetch(`http://${at}/x`)).status, before)
  // An address that cannot be had: the old one is served again, at its old place where that is fixed.
  const taken = await takenPort(t)
  writeFileSync(join(cwd, 'authorizer.ts'), 'export default { check: () => ({ allow: true }) }')
  edit(cwd, 'authorizer.yaml', (text) => text.replace('127.0.0.1:0', `127.0.0.1:${taken}`))
  assert.match(await running.hears(/cannot listen here/m), /^authorizer\.yaml:7:11: error: cannot listen here/m)
  assert.equal((await running.stop()).code, 0)
})

test('a certificate of another workload than the one that shows it is told of', async (t) => {
  const cwd = folderOf(t, {})
  const app = await application(t, hello)
  await program(['ca', 'issue', '--ca-dir', 'ca', '--service-account', 'other', '--out', 'tls'], { cwd })
  const files = ['--cert', 'tls/cert-chain.pem', '--key', 'tls/key.pem', '--ca', 'tls/root-cert.pem']
  writeFileSync(join(cwd, 'mesh.yaml'), '# nothing\n')
  const web = ['--workload', 'default/web', '--service-account', 'web', '--listen', '8080=127.0.0.1:0']
  const quiet = QUIET.filter((_, i) => i < 6)
  const argv = ['up', '-f', 'mesh.yaml', ...web, '--app', `127.0.0.1:${app}`, ...files, ...quiet]
  const talk = await start(t, argv, { cwd }).hears(/^ready$/m)
  assert.match(talk, /the certificate is not one of the workload.* id=.*sa\/web.* what=.*sa\/other/)
})
