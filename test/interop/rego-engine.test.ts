import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { RunOpa } from '#src/extauthz/engines/rego/compile.ts'
import { loadPolicy } from '#src/extauthz/engines/rego/load.ts'
import type { Machine } from '#src/extauthz/engines/rego/machine.ts'
import type { Logger } from '#src/observe/log.ts'
import { peer } from './peers.ts'
import { opaRunner } from './rego-comparison.ts'

const found = peer('opa')
const opa = 'path' in found ? found.path : ''
const skip = 'skip' in found ? found.skip : false

const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const logged: [string, unknown][] = []
const note = (message: string, fields?: unknown) => logged.push([message, fields])
const logger: Logger = { level: 'debug', debug: note, info: note, warn: note, error: note }

let count = 0

/** A file of its own folder. */
function file(name: string, text: string): string {
  const path = join(folder, String(count++), name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}

const rego = (...rules: string[]) => ['package p', 'import rego.v1', ...rules].join('\n')

async function load(path: string, query = 'data.p.x', runOpa: RunOpa | null = opaRunner(opa)): Promise<Machine> {
  const loading = await loadPolicy(path, query, { logger, runOpa })
  assert.ok(loading.kind === 'loaded', JSON.stringify(loading))
  return loading.machine
}

async function failure(path: string, query = 'data.p.x', runOpa: RunOpa | null = opaRunner(opa)): Promise<string> {
  const loading = await loadPolicy(path, query, { logger, runOpa })
  assert.ok(loading.kind === 'failed', 'it was loaded')
  return loading.message
}

function ask(machine: Machine, input: unknown = {}) {
  const print = (text: string) => note('printed', text)
  const text = typeof input === 'string' ? input : JSON.stringify(input)
  const outcome = machine.evaluate(text, { now: 1_700_000_000_000_000_000n, drawn: new Map(), print })
  return outcome.kind === 'defined' ? outcome.value : outcome
}

function build(path: string, entrypoint = 'p/x', ...more: string[]): string {
  const bundle = join(folder, `${count++}.tar.gz`)
  execFileSync(opa, ['build', '-t', 'wasm', '-e', entrypoint, '-o', bundle, ...more, path], { cwd: folder })
  return bundle
}

describe('a policy is loaded', { skip }, () => {
  const policy = rego('x := input.n + data.settings.more')
  const data = JSON.stringify({ settings: { more: 2 } })

  test('from a folder of Rego and data', async () => {
    const path = file('policy.rego', policy)
    writeFileSync(join(path, '..', 'data.json'), data)
    // As a mounted ConfigMap has every file twice.
    mkdirSync(join(path, '..', '..data'))
    copyFileSync(path, join(path, '..', '..data', 'policy.rego'))
    assert.equal(ask(await load(join(path, '..')), { n: 1 }), 3)
  })

  test('from a bundle, which needs no OPA', async () => {
    const path = file('policy.rego', policy)
    writeFileSync(join(path, '..', 'data.json'), data)
    const bundle = build(join(path, '..'))
    assert.equal(ask(await load(bundle, 'p/x', null), { n: 1 }), 3)
  })

  test('from a module, which has no data', async () => {
    const bundle = build(file('policy.rego', rego('x := input.n * 2')))
    const unpacked = mkdtempSync(join(folder, 'unpacked-'))
    execFileSync('tar', ['xzf', bundle, '-C', unpacked], { stdio: 'ignore' })
    assert.equal(ask(await load(join(unpacked, 'policy.wasm'), 'p/x', null), { n: 4 }), 8)
  })

  test('from a bundle of Rego, which is compiled', async () => {
    const bundle = join(folder, 'rego.tar.gz')
    execFileSync(opa, ['build', '-o', bundle, file('policy.rego', rego('x := 7'))], { cwd: folder })
    assert.equal(ask(await load(bundle)), 7)
    assert.match(await failure(bundle, 'data.p.x', null), /`opa`, which compiles Rego, was not found/)
  })

  test('in Rego of before OPA 1.0', async () => {
    logged.length = 0
    const path = file('policy.rego', 'package p\ndefault x = false\nx { input.n == 1 }\nx { input.n == 2 }')
    const machine = await load(path)
    assert.deepEqual([ask(machine, { n: 2 }), ask(machine, { n: 3 })], [true, false])
    assert.deepEqual(logged, [['the policy is Rego of before OPA 1.0', { path }]])
  })

  test('with a query of either form, and a bundle of several entry points', async () => {
    const bundle = build(file('policy.rego', rego('x := 1', 'y := 2')), 'p/x', '-e', 'p/y')
    for (const query of ['data.p.y', 'p/y', '/p/y', 'data["p"].y']) assert.equal(ask(await load(bundle, query)), 2)
  })

  test('and leaves no temporary file behind', async (t) => {
    // Of its own: other tests compile, too.
    const { TMPDIR } = process.env
    process.env.TMPDIR = mkdtempSync(join(folder, 'temporary-'))
    t.after(() => {
      if (TMPDIR === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = TMPDIR
    })
    const mine = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-rego-'))
    const before = mine()
    await load(file('policy.rego', rego('x := 1')))
    await failure(file('policy.rego', 'no Rego'))
    assert.deepEqual(
      mine().filter((name) => !before.includes(name)),
      [],
    )
  })
})

describe('a policy is not loaded', { skip }, () => {
  test('when it does not compile: OPA says where', async () => {
    const typed = file('typed.rego', rego('x := nothing(1)'))
    assert.match(await failure(typed), /typed\.rego:3: rego_type_error: undefined function nothing/)
    const parsed = file('parsed.rego', rego('x := = 1'))
    const message = await failure(parsed)
    assert.match(message, /parsed\.rego:3: rego_parse_error/)
    assert.doesNotMatch(message, /\n/)
  })

  test('when OPA is not there: it says what to run', async () => {
    const path = file('policy.rego', rego('x := 1'))
    const message = await failure(path, 'data.p.x', async () => ({ kind: 'missing' }))
    assert.match(message, /opa build -t wasm -e p\/x -o bundle\.tar\.gz .*policy\.rego/)
  })

  test('when it calls what OPA alone has: it names the built-ins and the other engine', async () => {
    const path = file(
      'policy.rego',
      rego('x := [http.send({"method": "get", "url": "http://x"}), net.lookup_ip_addr("x")]'),
    )
    assert.match(await failure(path), /http\.send, net\.lookup_ip_addr.*engine `opa`/)
  })

  test('when the query names nothing, or what the bundle was not built for', async () => {
    const bundle = build(file('policy.rego', rego('x := 1')))
    assert.match(await failure(bundle, 'data.p.y'), /entry point p\/y \(it has p\/x\).*-e p\/y/)
    assert.match(await failure(bundle, 'x := data.p.x'), /names no document/)
    assert.match(await failure(file('policy.rego', rego('x := 1')), 'data.p.y'), /p\/y/)
  })

  test('when the file is something else', async () => {
    assert.match(await failure(join(folder, 'nothing.rego')), /ENOENT/)
    assert.match(await failure(join(folder, 'nothing.tar.gz')), /ENOENT/)
    assert.match(await failure(file('policy.wasm', 'text')), /WebAssembly/)
    assert.match(await failure(file('policy.wasm', '\0asm\x01\0\0\0')), /too old|no policy/)
    assert.match(await failure(file('bundle.tar.gz', 'text')), /gzip/)
  })
})

describe('an evaluation', { skip }, () => {
  test('is undefined where the policy says nothing', async () => {
    const machine = await load(file('policy.rego', rego('x if input.ok', 'x if hex.decode("zz") == ""')))
    assert.deepEqual(ask(machine), { kind: 'undefined' })
    assert.equal(ask(machine, { ok: true }), true)
  })

  test('that fails leaves the next one alone', async () => {
    const rules = rego(
      'x := 1 if input.a',
      'x := 2 if input.b',
      'x := count(net.cidr_expand(input.net))',
      'x := input.deep',
    )
    const machine = await load(file('policy.rego', rules))
    for (let i = 0; i < 20; i++) {
      const disagreeing = JSON.stringify(ask(machine, { a: true, b: true }))
      assert.match(disagreeing, /failed.*(conflict|assignment)/)
      assert.doesNotMatch(disagreeing, /limit/)
      assert.equal(ask(machine, { a: true }), 1)
      assert.match(JSON.stringify(ask(machine, { net: '10.0.0.0/8' })), /failed.*cidr_expand: more than.*limit/)
      assert.equal(ask(machine, { net: '10.0.0.0/30' }), 4)
    }
    const depth = 200_000
    const deep = `{"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`
    assert.match(JSON.stringify(ask(machine, deep)), /failed.*limit/)
    assert.equal(ask(machine, { b: true }), 2)
  })

  test('has one time throughout, and another one the next time', async () => {
    const machine = await load(
      file('policy.rego', rego('x := [time.now_ns(), time.now_ns() == time.now_ns(), time.date(time.now_ns())]')),
    )
    assert.deepEqual(ask(machine), [1_700_000_000_000_000_000, true, [2023, 11, 14]])
  })

  test('hands over what it prints', async () => {
    const machine = await load(
      file('policy.rego', rego('x if {', '\tprint("n is", input.n, input.missing, {1, "a"})', '\ttrue', '}')),
    )
    logged.length = 0
    assert.equal(ask(machine, { n: [1, 'é'] }), true)
    assert.deepEqual(logged, [['printed', 'n is [1, "é"] <undefined> {1, "a"}']])
  })

  test('sees text of every kind as it is', async () => {
    const machine = await load(
      file('policy.rego', rego('x := {"same": input.t, "hash": crypto.sha256(input.t), "n": input.n}')),
    )
    const t = 'a"\\\n\t\u0000\u0001é€😀\u2028'
    const value = ask(machine, { t, n: 1.5 }) as Record<string, unknown>
    assert.equal(value.same, t)
    assert.equal(value.n, 1.5)
  })

  test('of a large input leaves room for the next', async () => {
    const machine = await load(file('policy.rego', rego('x := count(input.list)')))
    const list = Array.from({ length: 400_000 }, (_, i) => i)
    assert.equal(ask(machine, { list }), 400_000)
    for (let i = 0; i < 5; i++) assert.equal(ask(machine, { list }), 400_000)
    assert.equal(ask(machine, { list: [1] }), 1)
  })

  test('that would need more memory than it may have fails', async () => {
    const machine = await load(
      file(
        'policy.rego',
        rego('x := count([y | some i in numbers.range(1, input.n); y := sprintf("%d %s", [i, input.pad])])'),
      ),
    )
    const pad = 'x'.repeat(2_000_000)
    assert.match(JSON.stringify(ask(machine, { n: 200, pad })), /failed.*limit/)
    assert.equal(ask(machine, { n: 3, pad }), 3)
  })
})

test('the example of the engine is the example of OPA', () => {
  const read = (name: string) => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), 'utf8')
  assert.equal(read('engines/rego/policy.rego'), read('opa/policy.rego'))
})
