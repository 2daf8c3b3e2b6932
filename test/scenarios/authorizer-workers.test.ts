import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'

const stage = new Stage()
after(() => stage.end())

/** Says which process and which engine decided, and does what the path says. */
function engine(name: string): string {
  return `import { type AuthorizerRequest, allow } from 'sallyport/extauthz'
export default (request: AuthorizerRequest) => {
  if (request.pathname === '/loop') for (;;) {}
  if (request.pathname === '/exit') process.exit(7)
  if (request.pathname === '/later') setTimeout(() => { throw new Error('secret s3cret') })
  return allow({ headers: { 'x-engine': '${name}', 'x-pid': String(process.pid) } })
}
`
}

interface Ports {
  readonly http: number
  readonly health: number
  readonly metrics: number
}

function authorizer(folder: string, http: string, more = ''): void {
  stage.write(
    `${folder}/authorizer.yaml`,
    `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: authz, namespace: default }
spec:
  http: { listen: ${http}${more} }
  engine: { module: { path: ./engine.ts } }
`,
  )
}

async function start(folder: string, ...args: string[]): Promise<{ program: Sallyport; ports: Ports }> {
  const ports = await freePorts('http', 'health', 'metrics')
  authorizer(folder, `127.0.0.1:${ports.http}`)
  stage.write(`${folder}/engine.ts`, engine('one'))
  const program = stage.sallyport(
    'authorizer',
    ...['-f', stage.path(folder), '--health-port', String(ports.health), '--metrics-port', String(ports.metrics)],
    ...args,
  )
  await program.line('stderr', /^ready$/)
  return { program, ports }
}

interface Answer {
  readonly status: number
  readonly engine: string | undefined
  readonly pid: number
  readonly body: string
}

/** Each on a connection of its own; rejects when that ends without an answer. */
function ask(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const agent = new Agent()
    const message = request({ host: '127.0.0.1', port, path, agent, timeout: 20_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk
      })
      response.once('end', () => {
        agent.destroy()
        const { 'x-engine': engine, 'x-pid': pid } = response.headers
        resolve({ status: response.statusCode ?? 0, engine: engine as string | undefined, pid: Number(pid), body })
      })
    })
    message.once('timeout', () => message.destroy(new Error('no answer')))
    message.once('error', reject)
    message.end()
  })
}

/** The processes that answer, asked until so many have been met. */
async function pids(port: number, count: number): Promise<Set<number>> {
  const found = new Set<number>()
  for (let tries = 0; tries < 100 && found.size < count; tries++) found.add((await ask(port, '/')).pid)
  assert.equal(found.size, count)
  return found
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The system tells nobody but its parent when a process has ended. */
async function ended(pid: number): Promise<void> {
  for (let tries = 0; tries < 100 && isAlive(pid); tries++) await delay(50)
  assert.equal(isAlive(pid), false, `process ${pid} is still there`)
}

async function metric(ports: Ports, name: string): Promise<number> {
  const { body } = await ask(ports.metrics, '/metrics')
  const line = body.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? Number.NaN)
}

describe('one process', () => {
  let program: Sallyport
  let ports: Ports
  before(async () => {
    ;({ program, ports } = await start('one', '--stuck-after', '1s'))
  })

  test('an engine that loops is ended: callers get an error, then the next one answers at the same address', async () => {
    const { pid } = await ask(ports.http, '/')
    const looping = ask(ports.http, '/loop')
    await assert.rejects(looping, { code: 'ECONNRESET' })
    await program.line('stderr', /a worker did not answer and was killed/)
    const next = await ask(ports.http, '/')
    assert.deepEqual([next.status, next.engine], [200, 'one'])
    assert.notEqual(next.pid, pid)
    assert.equal(isAlive(pid), false)
    assert.equal(await metric(ports, 'sallyport_authorizer_worker_restarts_total{reason="stuck"}'), 1)
    assert.equal((await ask(ports.health, '/healthz/ready')).status, 200)
  })

  test('an engine that ends its process, or throws where nobody can catch it, is replaced', async () => {
    for (const path of ['/exit', '/later']) {
      const { pid } = await ask(ports.http, '/')
      await ask(ports.http, path).catch(() => null)
      await ended(pid)
      const next = await ask(ports.http, '/')
      assert.deepEqual([next.status, next.engine], [200, 'one'])
    }
    const said = program.lines.stderr.join('\n')
    assert.match(said, /a worker has ended code=7/)
    assert.match(said, /an engine threw where nobody could catch it error=Error/)
    assert.doesNotMatch(said, /s3cret/)
  })

  test('an engine that ends its process when it is loaded leaves the last good one in place', async () => {
    const { pid } = await ask(ports.http, '/')
    const bad = await program.reload(() => stage.write('one/engine.ts', 'process.exit(3)\nexport default 1\n'))
    assert.equal(bad.kind, 'kept')
    assert.match(bad.lines.join('\n'), /it ends the process, or does not finish loading.*SP502/)
    const { engine: kept, pid: same } = await ask(ports.http, '/')
    assert.deepEqual([kept, same], ['one', pid])
    const good = await program.reload(() => stage.write('one/engine.ts', engine('two')))
    assert.equal(good.kind, 'applied')
    assert.equal((await ask(ports.http, '/')).engine, 'two')
  })

  test('when it is told to end it leaves nothing behind', async () => {
    const { pid } = await ask(ports.http, '/')
    assert.equal(await program.stop(), 0)
    assert.equal(isAlive(pid), false)
    await assert.rejects(ask(ports.http, '/'), { code: 'ECONNREFUSED' })
  })
})

describe('three processes', () => {
  let program: Sallyport
  let ports: Ports
  before(async () => {
    ;({ program, ports } = await start('three', '--workers', '3', '--stuck-after', '1s', '--decisions', 'all'))
  })

  test('they share the connections, and their counts are one', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(ports.http, '/')))
    assert.equal(new Set(answers.map(({ pid }) => pid)).size, 3)
    const allowed = 'sallyport_authorizer_checks_total{authorizer="default/authz",engine="module",result="allow"}'
    assert.equal(await metric(ports, allowed), 12)
    assert.equal(await metric(ports, 'sallyport_authorizer_workers_ready'), 3)
    await program.until(() => (program.lines.stdout.length === 12 ? true : undefined), 'twelve decisions')
    const [first] = program.lines.stdout.map((line) => JSON.parse(line))
    assert.deepEqual([first.authorizer, first.decision, first.request.path], ['default/authz', 'allow', '/'])
  })

  test('while one is stuck the others answer, and what it had counted is not lost', async () => {
    const before = await pids(ports.http, 3)
    const looping = assert.rejects(ask(ports.http, '/loop'), { code: 'ECONNRESET' })
    const others = new Set<number>()
    // Whoever meets the stuck one waits for its end; the others need not.
    const during = Array.from({ length: 9 }, () =>
      ask(ports.http, '/').then(
        ({ pid }) => others.add(pid),
        () => null,
      ),
    )
    while (others.size < 2) await delay(10)
    await Promise.all([looping, ...during])
    const all = 'sallyport_authorizer_workers_ready'
    while ((await metric(ports, all)) !== 3) await delay(50)
    const after = await pids(ports.http, 3)
    assert.equal([...after].filter((pid) => before.has(pid)).length, 2)
  })

  test('a change takes effect in all of them, or in none', async () => {
    const before = await pids(ports.http, 3)
    const bad = await program.reload(() => stage.write('three/engine.ts', 'export default ('))
    assert.equal(bad.kind, 'kept')
    const engines = new Set<string | undefined>()
    for (let i = 0; i < 12; i++) engines.add((await ask(ports.http, '/')).engine)
    assert.deepEqual([...engines], ['one'])
    const good = await program.reload(() => stage.write('three/engine.ts', engine('two')))
    assert.equal(good.kind, 'applied')
    engines.clear()
    for (let i = 0; i < 12; i++) engines.add((await ask(ports.http, '/')).engine)
    assert.deepEqual([...engines], ['two'])
    assert.deepEqual([...(await pids(ports.http, 3))].sort(), [...before].sort())
  })
})

test('without their supervisor they end', async () => {
  const { http } = await freePorts('http')
  authorizer('orphans', `127.0.0.1:${http}`)
  stage.write('orphans/engine.ts', engine('one'))
  const off = ['--health-port', '0', '--metrics-port', '0']
  const program = new Sallyport(['authorizer', '-f', stage.path('orphans'), '--workers', '2', ...off])
  await program.line('stderr', /^ready$/)
  const all = await pids(http, 2)
  program.signal('SIGKILL')
  await program.ended
  for (const pid of all) await ended(pid)
})

test('at the end it says that it is not ready, serves on for the delay, and then finishes what is under way', async () => {
  const { program, ports } = await start('drain', '--drain-delay', '1s')
  const { pid } = await ask(ports.http, '/')
  assert.equal((await ask(ports.health, '/healthz/ready')).status, 200)
  program.signal('SIGTERM')
  while ((await ask(ports.health, '/healthz/ready')).status !== 503) await delay(10)
  assert.equal((await ask(ports.health, '/healthz/live')).status, 200)
  assert.equal((await ask(ports.http, '/')).status, 200)
  assert.equal(await program.ended, 0)
  assert.equal(isAlive(pid), false)
})

test('spans of traced requests go where OpenTelemetry says', async () => {
  const posts: string[] = []
  const collector = await stage.application(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    posts.push(`${request.url} ${request.headers['x-tenant']} ${body}`)
    response.end()
  })
  const { http } = await freePorts('http')
  authorizer('traced', `127.0.0.1:${http}`)
  stage.write('traced/engine.ts', engine('one'))
  const off = ['--health-port', '0', '--metrics-port', '0']
  const program = new Sallyport(['authorizer', '-f', stage.path('traced'), ...off], {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20b',
    OTEL_SERVICE_NAME: 'authz',
  })
  stage.ending(() => program.stop())
  await program.line('stderr', /^ready$/)
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  await fetch(`http://127.0.0.1:${http}/a?token=s3cret`, {
    headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
  })
  await fetch(`http://127.0.0.1:${http}/b`)
  // What is left is posted at the end.
  assert.equal(await program.stop(), 0)
  assert.equal(posts.length, 1)
  assert.match(posts[0] ?? '', /^\/v1\/traces a b \{/)
  const { resourceSpans } = JSON.parse(posts[0]?.slice((posts[0] ?? '').indexOf('{')) ?? '')
  const [span, ...more] = resourceSpans[0].scopeSpans[0].spans
  assert.equal(more.length, 0)
  assert.deepEqual([span.traceId, span.parentSpanId, span.name], [traceId, 'b7ad6b7169203331', 'sallyport.check'])
  assert.doesNotMatch(posts[0] ?? '', /s3cret/)
})

test('options that cannot be meant are refused', async () => {
  authorizer('usage', '127.0.0.1:0')
  stage.write('usage/engine.ts', engine('one'))
  const rows: [argv: string[], said: RegExp][] = [
    [['--workers', '0'], /--workers: `0` is no number from 1 to 256/],
    [['--workers', 'many'], /or `auto`: one for each core/],
    [['--stuck-after', '0s'], /--stuck-after must be at least a second/],
    [['--grace', '5'], /--grace: `5` is no duration/],
    [['--drain-delay', '-5s'], /--drain-delay: `-5s` is below zero/],
    [['--decision-sample', '2'], /--decision-sample: `2` is no share from 0 to 1/],
    [['--decisions', 'some'], /--decisions: `some` is not one of those/],
    [['--metrics-port', '70000'], /--metrics-port: `70000` is no port/],
  ]
  await Promise.all(
    rows.map(async ([argv, said]) => {
      const program = stage.sallyport('authorizer', '-f', stage.path('usage'), ...argv)
      assert.equal(await program.ended, 2)
      assert.match(program.lines.stderr.join('\n'), said)
    }),
  )
})

test('what cannot be had is reported at its place', async () => {
  const ports = await freePorts('http')
  stage.write('bad/engine.ts', engine('one'))
  stage.write('bad/tls.crt', 'no certificate')
  stage.write('bad/tls.key', 'no key')
  const said = async () => {
    const program = stage.sallyport('authorizer', '-f', stage.path('bad'), '--health-port', '0', '--metrics-port', '0')
    assert.equal(await program.ended, 3)
    return program.lines.stderr.join('\n')
  }
  authorizer('bad', `127.0.0.1:${ports.http}`, ', tls: { certificate: ./tls.crt, key: ./tls.key }')
  assert.match(await said(), /authorizer\.yaml:5:\d+: error: .*the certificate cannot be parsed.*\[SP503\]/)
  const taken = await stage.application((_, response) => response.end())
  authorizer('bad', `127.0.0.1:${taken}`)
  assert.match(await said(), /authorizer\.yaml:5:11: error: cannot listen here: .*EADDRINUSE.*\[SP501\]/)
})
