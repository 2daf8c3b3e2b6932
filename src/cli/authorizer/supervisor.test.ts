import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { AuthorizerSpec } from '../../extauthz/engines/serve.ts'
import type { Fields, Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { Supervisor } from './supervisor.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-supervisor-'))
const running: Supervisor[] = []
after(async () => {
  await Promise.all(running.map((one) => one.close({ delay: 0, grace: 0 })))
  rmSync(folder, { recursive: true, force: true })
})

function supervise(workers = 1, loadPatience = 20_000) {
  const lines: [string, Fields | undefined][] = []
  const add = (message: string, fields?: Fields) => lines.push([message, fields])
  const logger: Logger = { level: 'info', debug() {}, info: add, warn: add, error: add }
  const supervisor = new Supervisor({
    workers,
    settings: { level: 'info', keys: {}, decisions: null, otlp: null },
    logger,
    metrics: new MetricsRegistry(),
    stuckAfter: 1000,
    loadPatience,
    decisions: () => {},
  })
  running.push(supervisor)
  return { supervisor, lines }
}

let files = 0
/** An authorizer whose engine is this text, at a free port that stays its own. */
function spec(text: string, name = 'ns/a'): AuthorizerSpec & { readonly path: string } {
  const path = join(folder, `${++files}.mjs`)
  writeFileSync(path, text)
  const http = { listen: '127.0.0.1:0', mode: null, tls: null }
  return { name, grpc: null, http, timeout: 1000, engine: { kind: 'module', path }, path }
}

const deciding = (name: string) =>
  `import { deny } from 'sallyport/extauthz'\nexport default () => deny({ status: 418, body: '${name}' })\n`

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent: false }, async (response) => {
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      resolve(body)
    }).once('error', reject)
  })
}

async function apply(supervisor: Supervisor, specs: readonly AuthorizerSpec[]): Promise<number[]> {
  const change = await supervisor.prepare(specs)
  assert(change.kind === 'prepared', JSON.stringify(change))
  await change.commit()
  return change.listening.map(({ http }) => http?.port ?? 0)
}

test('an engine that loads for ever is given up, at the start and later', async () => {
  const { supervisor } = supervise(1, 5000)
  const endless = spec('for (;;) {}\nexport default 1\n')
  const first = await supervisor.prepare([endless])
  assert(first.kind === 'failed')
  assert.deepEqual([first.problems[0]?.name, first.problems[0]?.what], ['ns/a', 'engine'])
  assert.match(first.problems[0]?.message ?? '', /did not finish loading/)
  assert.deepEqual(supervisor.pids, [])
  assert.equal(supervisor.ready, false)

  const good = spec(deciding('good'))
  const [port = 0] = await apply(supervisor, [good])
  const before = supervisor.pids
  writeFileSync(good.path, 'for (;;) {}\nexport default 1\n')
  const later = await supervisor.prepare([good])
  assert(later.kind === 'failed')
  assert.match(later.problems[0]?.message ?? '', /does not finish loading/)
  assert.equal(await ask(port), 'good')
  assert.deepEqual(supervisor.pids, before)
})

test('a change that is taken back leaves what there was', async () => {
  const { supervisor } = supervise(2)
  const one = spec(deciding('one'))
  const [port = 0] = await apply(supervisor, [one])
  const other = { ...spec(deciding('two')), name: 'ns/a' }
  const change = await supervisor.prepare([other, spec(deciding('new'), 'ns/b')])
  assert(change.kind === 'prepared')
  const added = change.listening.find(({ name }) => name === 'ns/b')?.http?.port ?? 0
  assert.equal(await ask(port), 'one', 'until the commit the old one decides')
  await change.undo()
  assert.equal(await ask(port), 'one')
  const deadline = Date.now() + 5000
  // An address stays open for a moment, for whoever takes it over.
  while (
    await ask(added).then(
      () => true,
      () => false,
    )
  )
    assert(Date.now() < deadline)
})

test('a changed authorizer takes over the address of the one before, without a gap', async () => {
  const { supervisor } = supervise(2)
  const one = spec(deciding('one'))
  const [port = 0] = await apply(supervisor, [one])
  let over = false
  const asking = (async () => {
    const seen = new Set<string>()
    while (!over) seen.add(await ask(port))
    return seen
  })()
  const [same] = await apply(supervisor, [{ ...spec(deciding('two')), timeout: 500 }])
  assert.equal(same, port)
  assert.equal(await ask(port), 'two')
  over = true
  assert.deepEqual([...(await asking)].sort(), ['one', 'two'])
})

test('a process that loops is replaced in time, also when a change comes meanwhile', async () => {
  const { supervisor, lines } = supervise()
  const one = spec(
    `import { deny } from 'sallyport/extauthz'\nexport default (r) => { if (r.path === '/loop') for (;;) {}\n return deny() }\n`,
  )
  const [port = 0] = await apply(supervisor, [one])
  const ended = new Promise((resolve) =>
    get({ host: '127.0.0.1', port, path: '/loop', agent: false }).once('error', resolve),
  )
  const began = performance.now()
  // Modules are tried in another process first, which takes longer than it takes the request to get there.
  const change = supervisor.prepare([spec(deciding('next'))])
  await ended
  while (!lines.some(([message]) => message === 'a worker did not answer and was killed')) {
    assert.ok(performance.now() - began < 10_000)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await change
})

test('two authorizers that want one address are refused', async () => {
  const { supervisor } = supervise()
  const http = { listen: '127.0.0.1:28999', mode: null, tls: null }
  const change = await supervisor.prepare([
    { ...spec(deciding('a')), http },
    { ...spec(deciding('b'), 'ns/b'), http },
  ])
  assert.deepEqual(change, {
    kind: 'failed',
    problems: [{ name: 'ns/b', what: 'http', message: '127.0.0.1:28999 is that of ns/a already' }],
  })
})

test('a process whose engine can no longer be loaded is tried again, and a good file ends that', async () => {
  const { supervisor, lines } = supervise()
  const one = spec(
    `import { deny } from 'sallyport/extauthz'\nexport default (r) => r.path === '/exit' ? process.exit(1) : deny()\n`,
  )
  const [port = 0] = await apply(supervisor, [one])
  writeFileSync(one.path, 'throw new Error("broken")')
  await new Promise((resolve) => get({ host: '127.0.0.1', port, path: '/exit', agent: false }).once('error', resolve))
  while (lines.filter(([message]) => message === 'an authorizer cannot be started again').length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(supervisor.ready, false)
  writeFileSync(one.path, deciding('good'))
  assert.deepEqual(await apply(supervisor, [one]), [port])
  assert.equal(supervisor.ready, true)
  assert.equal(await ask(port), 'good')
})

test('without authorizers there is no process', async () => {
  const { supervisor } = supervise(2)
  await apply(supervisor, [])
  assert.deepEqual(supervisor.pids, [])
  await apply(supervisor, [spec(deciding('one'))])
  assert.equal(supervisor.pids.length, 2)
  await apply(supervisor, [])
  assert.deepEqual(supervisor.pids, [])
  assert.deepEqual(JSON.stringify(await supervisor.metrics()).includes('checks_total'), true)
})
