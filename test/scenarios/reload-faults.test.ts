import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { ask } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { Stage } from './stage.ts'

const stage = new Stage()
let app = 0

const deny = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: admin, namespace: default }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin], ports: ['8080'] } }] }] }
`
const workload = `apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { containers: [{ name: web, ports: [{ containerPort: 8080 }] }] }
`

before(async () => {
  app = await stage.application((_, response) => response.end('data'))
})
after(() => stage.end())

const place = () => ['--workload', 'default/web', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]

async function start(name: string): Promise<Sallyport> {
  stage.write(`${name}/workload.yaml`, workload)
  stage.write(`${name}/policy.yaml`, deny)
  return stage.up('-f', stage.path(name), ...place())
}

async function admin(up: Sallyport): Promise<number> {
  return (await ask(up.port('inbound default/web:8080'), '/admin')).status
}

async function reload(up: Sallyport, kind: 'applied' | 'kept', change: () => void): Promise<string> {
  const said = await up.reload(change)
  assert.equal(said.kind, kind, said.lines.join('\n'))
  return said.lines.join('\n')
}

test('policies from standard input and from pipes stay when files change', async () => {
  stage.write('piped/workload.yaml', workload)
  const other = deny.replace('name: admin', 'name: other').replace('/admin', '/other')
  execFileSync('mkfifo', [stage.path('pipe')])
  const up = stage.piped(deny, '-f', '-', '-f', stage.path('pipe'), '-f', stage.path('piped'), ...place())
  await writeFile(stage.path('pipe'), other)
  await up.line('stderr', /^ready$/)
  const statuses = async () => {
    const port = up.port('inbound default/web:8080')
    return Promise.all(['/admin', '/other', '/'].map(async (path) => (await ask(port, path)).status))
  }
  assert.deepEqual(await statuses(), [403, 403, 200])
  await reload(up, 'applied', () => stage.write('piped/workload.yaml', `${workload}# changed\n`))
  assert.deepEqual(await statuses(), [403, 403, 200])
})

test('a file that has been emptied changes nothing, one that is taken away does, loudly', async () => {
  const up = await start('emptied')
  const said = await reload(up, 'kept', () => stage.write('emptied/policy.yaml', ''))
  assert.match(
    said,
    /emptied\/policy\.yaml: error: the file is empty, and was not before \[SP001\]\n {4}it may be half-/,
  )
  assert.equal(await admin(up), 403)
  await reload(up, 'applied', () => stage.write('emptied/policy.yaml', deny))
  const gone = await reload(up, 'applied', () => stage.remove('emptied/policy.yaml'))
  assert.match(gone, /^warning: no policy restricts any more default\/web: every request is allowed$/m)
  assert.equal(await admin(up), 200)
  const again = await reload(up, 'applied', () => stage.write('emptied/workload.yaml', `${workload}# changed\n`))
  assert.doesNotMatch(again, /no policy restricts/)
})

test('a workload without a policy is named at start', async () => {
  stage.write('open/workload.yaml', workload)
  stage.write('open/policy.yaml', deny.replace('namespace: default', 'namespace: defualt'))
  const up = await stage.up('-f', stage.path('open'), ...place())
  await up.line('stderr', /^warning: no policy restricts default\/web: every request is allowed$/)
})

test('a file that is written in pieces is taken when it is whole', async () => {
  const up = await start('pieces')
  const { kind, lines } = await up.reload(() => {
    stage.write('pieces/policy.yaml', '# the first piece\n')
    setTimeout(() => stage.write('pieces/policy.yaml', deny.replace('/admin', '/else')), 60)
  })
  assert.equal(kind, 'applied', lines.join('\n'))
  assert.doesNotMatch(lines.join('\n'), /no policy restricts/)
  assert.equal((await ask(up.port('inbound default/web:8080'), '/else')).status, 403)
})

test('folders behind links are read and watched, those in a circle once', async () => {
  stage.write('linked/workload.yaml', workload)
  stage.write('team/policy.yaml', deny)
  symlinkSync('../team', stage.path('linked/team'))
  symlinkSync('.', stage.path('linked/circle'))
  const up = await stage.up('-f', stage.path('linked'), ...place())
  assert.equal(await admin(up), 403)
  await reload(up, 'applied', () => stage.write('team/policy.yaml', deny.replace('/admin', '/else')))
  assert.equal(await admin(up), 200)
})

test('a pipe in a folder is reported instead of waited for', async () => {
  const up = await start('fifo')
  const said = await reload(up, 'kept', () => {
    stage.remove('fifo/policy.yaml')
    execFileSync('mkfifo', [stage.path('fifo/policy.yaml')])
  })
  assert.match(said, /fifo\/policy\.yaml: error: is no regular file \[SP001\]/)
  assert.equal(await admin(up), 403)
})

test('a trust domain that is no name makes no file anywhere', async () => {
  const up = await start('domain')
  const said = await reload(up, 'kept', () => stage.write('domain/mesh.yaml', 'trustDomain: ../../evil\n'))
  assert.match(said, /domain\/mesh\.yaml:1:1: error: trust domain name "\.\.\/\.\.\/evil" invalid \[SP210\]/)
  assert.deepEqual(readdirSync(stage.path('ca')), ['cluster.local'])
  const account = workload.replace('spec: {', 'spec: { serviceAccountName: "../x",')
  const also = await reload(up, 'kept', () => {
    stage.remove('domain/mesh.yaml')
    stage.write('domain/workload.yaml', account)
  })
  assert.match(also, /spiffe:\/\/cluster\.local\/ns\/default\/sa\/\.\.\/x is no workload's SPIFFE id/)
  assert.equal(await admin(up), 403)
})

test('a folder that goes away and comes back, and a file that may not be read for a while', async () => {
  const up = await start('away')
  await reload(up, 'kept', () => renameSync(stage.path('away'), stage.path('elsewhere')))
  assert.equal(await admin(up), 403)
  await reload(up, 'applied', () => renameSync(stage.path('elsewhere'), stage.path('away')))
  if (process.getuid?.() === 0) return
  await reload(up, 'kept', () => chmodSync(stage.path('away/policy.yaml'), 0))
  assert.equal(await admin(up), 403)
})

function sidecar(name: string, port: number, ending: string): string {
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: ${name}, namespace: default }
spec:
  workloadSelector: { labels: { app: ${name} } }
  ingress:
  - port: { number: ${port}, protocol: HTTP, name: http }
${ending}`
}

test('a listener that would forward to itself does not start', async () => {
  for (const [ending, place] of [
    ['', ''],
    ['    bind: 127.0.0.1\n', ''],
    ['    bind: 127.0.0.1\n    defaultEndpoint: 0.0.0.0:31999\n', ''],
    ['    bind: 0.0.0.0\n    defaultEndpoint: 127.0.0.1:31999\n', ''],
  ] as const) {
    mkdirSync(stage.path('itself'), { recursive: true })
    stage.write('itself/workload.yaml', workload)
    stage.write('itself/sidecar.yaml', sidecar('web', 31999, ending))
    const up = stage.starting('-f', stage.path('itself'), ...(place === '' ? [] : [place]))
    assert.equal(await up.ended, 3, ending)
    const said = up.lines.stderr.join('\n')
    assert.match(
      said,
      /itself\/sidecar\.yaml:7:5: error: inbound default\/web:31999 would forward to itself.*\[SP504\]/,
    )
  }
})

test('two workloads on one socket do not start', async () => {
  const second = workload.replaceAll('web', 'two')
  const sidecars = [sidecar('web', 31998, '    bind: 127.0.0.1\n'), sidecar('two', 31998, '    bind: 127.0.0.1\n')]
  stage.write(
    'socket/files.yaml',
    [workload, second, ...sidecars.map((one) => `${one}    defaultEndpoint: 127.0.0.1:1\n`)].join('---\n'),
  )
  const up = stage.starting('-f', stage.path('socket'))
  assert.equal(await up.ended, 3)
  assert.match(
    up.lines.stderr.join('\n'),
    /files\.yaml:\d+:5: error: inbound default\/two:31998 would listen where inbound default\/web:31998 does/,
  )
})
