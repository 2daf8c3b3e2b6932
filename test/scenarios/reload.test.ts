import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { ask } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'
import { Traffic } from './traffic.ts'

const stage = new Stage()

const workload = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers: [{ name: web, image: example.org/web, ports: [{ containerPort: 8080 }] }]
`

function policy(action: string, rules = '[{}]'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web, namespace: default }
spec:
  selector: { matchLabels: { app: web } }
  action: ${action}
  rules: ${rules}
`
}

function sidecar(...ports: number[]): string {
  const ingress = ports.map(
    (port) => `
  - port: { number: ${port}, protocol: HTTP, name: http-${port} }
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:${app}
`,
  )
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web, namespace: default }
spec:
  workloadSelector:
    labels: { app: web }
  ingress:${ingress.join('')}`
}

let app = 0
let ports: { readonly first: number; readonly second: number; readonly taken: number }
let up: Sallyport

before(async () => {
  app = await stage.application((_, response) => response.end('data'))
  ports = await freePorts('first', 'second', 'taken')
  stage.write('files/workload.yaml', workload)
  stage.write('files/sidecar.yaml', sidecar(ports.first))
  stage.write('files/policies/web.yaml', policy('ALLOW'))
  up = await stage.up('-f', stage.path('files'))
})
after(() => stage.end())

async function applied(change: () => void): Promise<void> {
  const { kind, lines } = await up.reload(change)
  assert.equal(kind, 'applied', lines.join('\n'))
}

async function kept(change: () => void): Promise<string> {
  const { kind, lines } = await up.reload(change)
  assert.equal(kind, 'kept', lines.join('\n'))
  return lines.join('\n')
}

const allowed = { status: 200, body: 'data' }
const denied = { status: 403, body: 'RBAC: access denied' }

async function answer(port = ports.first): Promise<{ status: number; body: string }> {
  const { status, body } = await ask(port, '/data')
  return { status, body }
}

/** Runs with steady requests beside it: none may fail, and no connection may be closed. */
async function underTraffic(run: (traffic: Traffic) => Promise<void>): Promise<Traffic> {
  const traffic = new Traffic(ports.first)
  try {
    await traffic.more(5)
    await run(traffic)
    await traffic.more(5)
  } finally {
    await traffic.stop()
  }
  assert.deepEqual(traffic.failures, [])
  for (const exchanges of traffic.kept) {
    assert.ok(
      exchanges.slice(1).every(({ reused }) => reused),
      'a connection was closed',
    )
  }
  return traffic
}

test('a good change takes effect at once, and no request fails', async () => {
  for (const [action, before, after] of [
    ['DENY', allowed, denied],
    ['ALLOW', denied, allowed],
  ] as const) {
    let began = 0
    let done = 0
    const traffic = await underTraffic(async () => {
      began = performance.now()
      await applied(() => stage.write('files/policies/web.yaml', policy(action)))
      done = performance.now()
      assert.deepEqual(await answer(), after)
    })
    for (const { began: at, status, body } of traffic.all) {
      if (at >= done) assert.deepEqual({ status, body }, after, 'begun after the change')
      else assert.ok([before.status, after.status].includes(status), `status ${status}`)
    }
    assert.ok(traffic.all.some(({ began: at, status }) => at < began && status === before.status))
    assert.ok(traffic.all.some(({ began: at }) => at >= done))
    for (const list of traffic.kept) {
      const turn = list.findIndex(({ status }) => status === after.status)
      assert.ok(
        list.slice(turn).every(({ status }) => status === after.status),
        'never back and forth',
      )
    }
  }
})

test('a bad change is reported at its place, and the last good configuration stays', async () => {
  const bad: [name: string, text: string, said: RegExp][] = [
    ['invalid YAML', `${policy('DENY')}  more: [a, b\n`, /policies\/web\.yaml:\d+:\d+: error: .*\[SP002\]/],
    [
      'an unknown field',
      policy('DENY', '[{ to: [{ operation: { method: [GET] } }] }]'),
      /policies\/web\.yaml:7:\d+: error: the field `method` is unknown.*\[SP103\]\n {4}write `methods`/,
    ],
    [
      'a policy that fails validation',
      policy('DENY', '[{ to: [{ operation: { ports: ["http"] } }] }]'),
      /policies\/web\.yaml:7:\d+: error: .*\[SP212\]/,
    ],
    ['a file that is no mapping', '- a\n- b\n', /policies\/web\.yaml:1:1: error: .*\[SP101\]/],
  ]
  const traffic = await underTraffic(async () => {
    for (const [name, text, said] of bad) {
      assert.match(await kept(() => stage.write('files/policies/web.yaml', text)), said, name)
      assert.deepEqual(await answer(), allowed, name)
    }
  })
  assert.ok(traffic.all.every(({ status }) => status === 200))
  await applied(() => stage.write('files/policies/web.yaml', policy('DENY')))
  assert.deepEqual(await answer(), denied, 'a good file after bad ones')
  await applied(() => stage.remove('files/policies/web.yaml'))
  assert.deepEqual(await answer(), allowed, 'a file that is gone')
})

test('a file that is replaced by renaming another is seen, and one that is written in place', async () => {
  const path = stage.path('files/policies/web.yaml')
  for (const change of [
    (text: string) => renameSync(stage.write('next.yaml', text), path),
    (text: string) => writeFileSync(path, text),
  ]) {
    await applied(() => change(policy('DENY')))
    assert.deepEqual(await answer(), denied)
    await applied(() => change(policy('ALLOW')))
    assert.deepEqual(await answer(), allowed)
  }
})

test('a folder whose files are links that are swapped together is seen, as Kubernetes mounts one', async () => {
  const version = (name: string, action: string) => {
    mkdirSync(stage.path('mounted', name), { recursive: true })
    writeFileSync(stage.path('mounted', name, 'web.yaml'), policy(action))
  }
  version('..1', 'ALLOW')
  symlinkSync('..1', stage.path('mounted/..data'))
  symlinkSync('..data/web.yaml', stage.path('mounted/web.yaml'))
  stage.write('beside/workload.yaml', workload)
  const files = ['beside', 'mounted'].flatMap((name) => ['-f', stage.path(name)])
  const place = ['--workload', 'default/web', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  const mounted = await stage.up(...files, ...place)
  const port = mounted.port('inbound default/web:8080')
  assert.deepEqual(await answer(port), allowed)
  const { kind } = await mounted.reload(() => {
    version('..2', 'DENY')
    symlinkSync('..2', stage.path('mounted/..next'))
    renameSync(stage.path('mounted/..next'), stage.path('mounted/..data'))
    rmSync(stage.path('mounted/..1'), { recursive: true })
  })
  assert.equal(kind, 'applied')
  assert.deepEqual(await answer(port), denied)
})

test('a listener that is added opens its port, one that is taken away closes it', async () => {
  const traffic = await underTraffic(async () => {
    await assert.rejects(answer(ports.second), { code: 'ECONNREFUSED' })
    const { kind, lines } = await up.reload(() => {
      stage.write('files/sidecar.yaml', sidecar(ports.first, ports.second))
    })
    assert.equal(kind, 'applied', lines.join('\n'))
    const listening = lines.filter((line) => line.startsWith('listening'))
    assert.equal(listening.length, 1, 'only the new one is announced')
    assert.ok(listening[0]?.endsWith(`:${ports.second}`), listening[0])
    assert.deepEqual(await answer(ports.second), allowed)
    await applied(() => stage.write('files/sidecar.yaml', sidecar(ports.first)))
    await assert.rejects(answer(ports.second), { code: 'ECONNREFUSED' })
  })
  assert.ok(traffic.all.every(({ status }) => status === 200))
})

test('a listener whose port is taken changes nothing, and it is said where it is asked for', async () => {
  const other = createServer((_, response) => response.end('other'))
  await new Promise<void>((resolve) => other.listen(ports.taken, '127.0.0.1', resolve))
  stage.ending(() => other.close())
  const traffic = await underTraffic(async () => {
    const said = await kept(() => {
      stage.write('files/policies/web.yaml', policy('DENY'))
      stage.write('files/sidecar.yaml', sidecar(ports.first, ports.second, ports.taken))
    })
    const place = `files/sidecar.yaml:18:5: error: 127.0.0.1:${ports.taken} is in use by another process`
    assert.ok(said.includes(place), said)
    assert.deepEqual(await answer(), allowed, 'the policy of the refused files is not in effect')
    await assert.rejects(answer(ports.second), { code: 'ECONNREFUSED' }, 'all listeners or none')
  })
  assert.ok(traffic.all.every(({ status }) => status === 200))
  await new Promise((resolve) => other.close(resolve))
  await applied(() => stage.write('files/sidecar.yaml', sidecar(ports.first, ports.taken)))
  assert.deepEqual(await answer(ports.taken), denied)
})

test('a change while it starts is not lost', async () => {
  stage.write('early/workload.yaml', workload)
  stage.write('early/policy.yaml', policy('ALLOW'))
  const place = ['--workload', 'default/web', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  const early = stage.starting('-f', stage.path('early'), ...place, '--ca-dir', stage.path('early-ca'))
  // Said after the files have been read and before anything listens.
  await early.line('stderr', /made a development CA/)
  stage.write('early/policy.yaml', policy('DENY'))
  await early.line('stderr', /^applied:/)
  assert.deepEqual(await answer(early.port('inbound default/web:8080')), denied)
})

test('a warning is said when it comes up, and not again at each reload', async () => {
  const warned = (lines: readonly string[]) => lines.some((line) => line.includes('no workload in the namespace'))
  const stray = `${policy('ALLOW')}---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: stray, namespace: default }
spec: { selector: { matchLabels: { app: nobody } }, rules: [{}] }
`
  const first = await up.reload(() => stage.write('files/policies/web.yaml', stray))
  assert.ok(warned(first.lines), first.lines.join('\n'))
  const second = await up.reload(() => stage.write('files/policies/web.yaml', `# moved\n${stray}`))
  assert.equal(second.kind, 'applied')
  assert.ok(!warned(second.lines), second.lines.join('\n'))
  await applied(() => stage.write('files/policies/web.yaml', policy('ALLOW')))
})
