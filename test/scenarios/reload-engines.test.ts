import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { ask, echo } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'
import { Traffic } from './traffic.ts'

const stage = new Stage()
let app = 0

before(async () => {
  app = await stage.application(echo)
})
after(() => stage.end())

/** An engine with texts of its one file: one that allows all, one that allows `/data` only, and one that is none. */
interface Row {
  readonly engine: string
  readonly file: string
  readonly open: string
  readonly closed: string
  readonly broken: string
  readonly problem: RegExp
}

const allowPolicy = (rules: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: default }
spec: { rules: [${rules}] }
`

const rows: Readonly<Record<string, Row>> = {
  module: {
    engine: 'module: { path: ./engine/check.ts }',
    file: 'check.ts',
    open: "import { allow } from 'sallyport/extauthz'\nexport default () => allow()\n",
    closed: `import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'
export default (request: AuthorizerRequest) => (request.path === '/data' ? allow() : deny())
`,
    broken: 'export default (',
    problem: /authorizer\.yaml:6:\d+: error: the engine cannot be loaded: /,
  },
  istio: {
    engine: 'istio: { paths: [engine], workload: web, labels: { app: web } }',
    file: 'policies.yaml',
    open: allowPolicy('{}'),
    closed: allowPolicy('{ to: [{ operation: { paths: [/data] } }] }'),
    broken: allowPolicy('{ to: [{ operation: { path: [/data] } }] }'),
    problem: /engine\/policies\.yaml:4:\d+: error: .*`path` is unknown/,
  },
  cel: {
    engine: 'cel: { path: engine/policy.cel }',
    file: 'policy.cel',
    open: 'true',
    closed: "request.path == '/data'",
    broken: "request.path ==\n== '/data'",
    problem: /engine\/policy\.cel:\d+:\d+: error: syntax error/,
  },
  cedar: {
    engine: 'cedar: { policies: engine }',
    file: 'policy.cedar',
    open: 'permit (principal, action, resource);',
    closed: 'permit (principal, action, resource == Resource::"/data");',
    broken: 'permit (principal,\n  action resource);',
    problem: /engine\/policy\.cedar:2:\d+: error: .*unexpected token/,
  },
}

const mesh = (port: number) => `extensionProviders:
- name: embedded
  envoyExtAuthzGrpc: { service: authz.local, port: 9191, timeout: 2s }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: default }
spec:
  hosts: [authz.local]
  resolution: STATIC
  ports: [{ number: 9191, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: default }
spec: { action: CUSTOM, provider: { name: embedded }, rules: [{}] }
`

const authorizer = (port: number, engine: string) => `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: authz, namespace: default }
spec:
  grpc: { listen: 127.0.0.1:${port} }
  engine: { ${engine} }
`

for (const [name, row] of Object.entries(rows)) {
  describe(`the files of the engine ${name}`, () => {
    const file = `${name}/engine/${row.file}`
    let up: Sallyport
    let port = 0

    before(async () => {
      const ports = await freePorts('authorizer')
      stage.write(`${name}/mesh.yaml`, mesh(ports.authorizer))
      stage.write(`${name}/authorizer.yaml`, authorizer(ports.authorizer, row.engine))
      stage.write(file, row.closed)
      up = await stage.up(
        ...['-f', stage.path(name, 'mesh.yaml'), '-f', stage.path(name, 'authorizer.yaml')],
        ...['--workload', 'default/web', '--label', 'app=web', '--listen', '8080=127.0.0.1:0'],
        ...['--app', `127.0.0.1:${app}`],
      )
      port = up.port('inbound default/web:8080')
    })
    after(() => up.stop())

    const isOpen = async () => (await ask(port, '/more')).status === 200

    /** Changes files under steady requests, none of which fails or is refused. */
    async function change(kind: 'applied' | 'kept', write: () => void): Promise<string> {
      const traffic = new Traffic(port)
      try {
        await traffic.more(2)
        const reloaded = await up.reload(write)
        assert.equal(reloaded.kind, kind, reloaded.lines.join('\n'))
        await traffic.more(2)
        return reloaded.lines.join('\n')
      } finally {
        await traffic.stop()
        assert.deepEqual(traffic.failures, [])
        assert.deepEqual([...new Set(traffic.all.map(({ status }) => status))], [200])
      }
    }

    test('a good change takes effect', async () => {
      assert.equal(await isOpen(), false)
      await change('applied', () => stage.write(file, row.open))
      assert.equal(await isOpen(), true)
    })

    test('a bad one is told of at its place, and the last good one decides until there is another', async () => {
      assert.match(await change('kept', () => stage.write(file, row.broken)), row.problem)
      assert.equal(await isOpen(), true)
      await change('applied', () => stage.write(file, row.closed))
      assert.equal(await isOpen(), false)
    })

    test('a file that is written in place, half of it first', async () => {
      await change('kept', () => writeFileSync(stage.path(file), row.broken.slice(0, -1)))
      assert.equal(await isOpen(), false)
      await change('applied', () => {
        writeFileSync(stage.path(file), row.open.slice(0, row.open.length / 2))
        writeFileSync(stage.path(file), row.open)
      })
      assert.equal(await isOpen(), true)
    })

    test('a file that is emptied or goes away is no change, and back it is one', async () => {
      await change('kept', () => writeFileSync(stage.path(file), ''))
      await change('kept', () => rmSync(stage.path(file)))
      assert.equal(await isOpen(), true)
      await change('applied', () => stage.write(file, row.closed))
      assert.equal(await isOpen(), false)
    })

    test('an editor that keeps the old file beside the new one', async () => {
      await change('applied', () => {
        renameSync(stage.path(file), `${stage.path(file)}~`)
        writeFileSync(stage.path(file), row.open)
        rmSync(`${stage.path(file)}~`)
      })
      assert.equal(await isOpen(), true)
    })

    test('a folder that is replaced as a whole', async () => {
      const folder = stage.path(name, 'engine')
      const next = stage.path(name, 'next')
      mkdirSync(next)
      writeFileSync(`${next}/${row.file}`, row.closed)
      await change('applied', () => {
        renameSync(folder, stage.path(name, 'old'))
        renameSync(next, folder)
      })
      assert.equal(await isOpen(), false)
      await change('applied', () => stage.write(file, row.open))
      assert.equal(await isOpen(), true)
    })
  })
}

test('a file that joins a folder of policies, and one that leaves it', async () => {
  const added: readonly (readonly [engine: string, name: string, text: string])[] = [
    ['cedar', 'more.cedar', 'forbid (principal, action, resource == Resource::"/more");'],
    [
      'istio',
      'more.yaml',
      allowPolicy('{ to: [{ operation: { paths: [/more] } }] }')
        .replace('name: allow', 'name: deny')
        .replace('rules:', 'action: DENY, rules:'),
    ],
  ]
  for (const [name, more, text] of added) {
    const { engine, file, open } = rows[name] as Row
    const ports = await freePorts('authorizer')
    const folder = `folder-${name}`
    stage.write(`${folder}/mesh.yaml`, mesh(ports.authorizer))
    stage.write(`${folder}/authorizer.yaml`, authorizer(ports.authorizer, engine))
    stage.write(`${folder}/engine/${file}`, open)
    const up = await stage.up(
      ...['-f', stage.path(folder, 'mesh.yaml'), '-f', stage.path(folder, 'authorizer.yaml')],
      ...['--workload', 'default/web', '--label', 'app=web', '--listen', '8080=127.0.0.1:0'],
      ...['--app', `127.0.0.1:${app}`],
    )
    const port = up.port('inbound default/web:8080')
    const status = async () => (await ask(port, '/more')).status
    assert.equal(await status(), 200)
    assert.equal((await up.reload(() => stage.write(`${folder}/engine/${more}`, text))).kind, 'applied')
    assert.equal(await status(), 403)
    assert.equal((await up.reload(() => stage.remove(`${folder}/engine/${more}`))).kind, 'applied')
    assert.equal(await status(), 200)
    assert.equal(await up.stop(), 0)
  }
})
