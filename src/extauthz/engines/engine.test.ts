import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { acceptSockets } from '../server/accept-sockets.ts'
import { readGrpcListener } from '../server/listener-options.ts'
import { denial } from '../server/verdict.ts'
import { createEngine } from './engine.ts'
import { engineTests, judgeOf } from './engines.test.fixture.ts'
import { serveAuthorizer } from './serve.ts'

const { folder, logger } = engineTests()

async function failure(text: string, loadTimeout = 5000): Promise<string> {
  const path = folder.write('engine.mjs', text)
  const loading = await createEngine({ kind: 'module', path }, { logger, loadTimeout }).load()
  return loading.kind === 'failed' ? loading.message : 'loaded'
}

test('a module that throws, exports something else, or never ends its own start is a failure', async () => {
  assert.equal(await failure('throw new Error("no database")'), 'no database')
  assert.equal(await failure('throw "text"'), 'text')
  assert.equal(await failure('throw null'), 'null')
  assert.match(await failure('export default 1'), /neither a function nor an object/)
  assert.match(await failure('export const check = () => {}'), /neither a function nor an object/)
  assert.match(await failure('export default { check: 1 }'), /neither a function nor an object/)
  assert.match(await failure('export default ('), /Unexpected/)
  assert.match(await failure('import "./absent.mjs"'), /absent\.mjs/)
  const began = performance.now()
  assert.equal(
    await failure('await new Promise(() => {})\nexport default () => {}', 200),
    'loading took longer than 200 ms',
  )
  assert.ok(performance.now() - began < 2000)
  assert.equal(await failure('export default () => {}'), 'loaded')
})

test('an answer that takes too long refuses, and so does one that never comes', async () => {
  const path = folder.write('slow.mjs', 'export default () => new Promise(() => {})')
  const loading = await createEngine({ kind: 'module', path }, { logger }).load()
  const verdict = await judgeOf(loading, logger).ask()
  assert.deepEqual(verdict, denial(403))
})

test('a served engine loads anew, and says what is wrong when it cannot', async (t) => {
  const path = folder.write('kept.mjs', 'export default () => ({ kind: "deny", status: 403, headers: {}, body: "" })')
  const serving = await serveAuthorizer(
    {
      name: 'default/a',
      grpc: readGrpcListener('127.0.0.1:0'),
      http: null,
      timeout: 50,
      engine: { kind: 'module', path },
    },
    {
      ...{ logger, metrics: new MetricsRegistry(), decisionLog: null, onSpan: null, acceptSockets },
      engines: {},
    },
  )
  if (serving.kind === 'failed') assert.fail(serving.message)
  t.after(() => serving.served.close())
  const next = await serving.served.load()
  assert.equal(next.kind, 'loaded')
  folder.write('kept.mjs', 'export default (')
  const broken = await serving.served.load()
  assert.equal(broken.kind, 'failed')
})
