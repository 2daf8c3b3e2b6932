import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { check } from '#src/testing/index.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = path.join(root, 'build/documents/write-an-authorizer')
const text = readFileSync(path.join(root, 'docs/write-an-authorizer.md'), 'utf8')

/** The blocks of code, by the name that each has in its first line. */
const blocks = new Map(
  [...text.matchAll(/^```(ts|yaml)\n(?:\/\/|#) (\S+)\n([\s\S]*?)^```$/gm)].map(([, , name = '', code = '']) => [
    name,
    code,
  ]),
)

function write(name: string, code: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, code)
  return file
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Starts a program, and ends it when the health of what it serves has been seen. */
async function serves(port: number, ...args: string[]): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' })
  const ended = once(child, 'exit')
  try {
    const health = path.join(root, 'examples/deploy/health.mjs')
    for (let attempt = 0; ; attempt++) {
      const { status, stdout } = spawnSync(process.execPath, [health, `127.0.0.1:${port}`], { encoding: 'utf8' })
      if (status === 0) return
      assert(attempt < 50 && child.exitCode === null, `${args[0]}: ${stdout}`)
      await delay(100)
    }
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

describe('docs/write-an-authorizer.md', () => {
  before(() => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const [name, code] of blocks) write(name, code)
    const options = { composite: false, declaration: false, sourceMap: false }
    const config = { extends: path.join(root, 'tsconfig.base.json'), compilerOptions: options, include: ['*.ts'] }
    write('tsconfig.json', JSON.stringify(config))
  })

  test('every block of code has a name', () => {
    assert.equal(blocks.size, [...text.matchAll(/^```\w/gm)].length)
    assert(blocks.size >= 8)
  })

  test('the blocks compile against the package as its users see it', () => {
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
    assert.equal(status, 0, stdout)
  })

  test('the tests among them pass', () => {
    const files = [...blocks.keys()]
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => name.replace(/ts$/, 'js'))
    assert(files.length > 0)
    const env = { ...process.env }
    // Or the tests would report to the runner of this file, and their result would be lost.
    delete env.NODE_TEST_CONTEXT
    const options = { cwd: folder, encoding: 'utf8', env } as const
    const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-timeout=30000', ...files], options)
    assert.equal(status, 0, stdout)
    assert.match(stdout, new RegExp(`pass ${files.length}`))
  })

  test('the program serves', async () => {
    const port = await freePort()
    const code = readFileSync(path.join(folder, 'server.js'), 'utf8')
    assert.match(code, /'127\.0\.0\.1:9191'/)
    await serves(port, write('server-here.js', code.replace('9191', String(port)).replace('8000', '0')))
  })

  test('sallyport authorizer serves the file', async () => {
    const port = await freePort()
    const code = blocks.get('authorizer.yaml') ?? ''
    assert.match(code, /127\.0\.0\.1:9191/)
    const file = write('authorizer-here.yaml', code.replace('9191', String(port)))
    await serves(port, path.join(root, 'dist/cli/main.js'), 'authorizer', '-f', file)
  })

  test('checks that are put together decide together', async () => {
    // An issuer that refuses connections at once.
    const code = readFileSync(path.join(folder, 'together.js'), 'utf8').replace(
      'https://issuer.example',
      'http://127.0.0.1:9',
    )
    const { default: together } = await import(write('together-here.js', code))
    const at = (hour: number) => Date.UTC(2026, 0, 1, hour)
    const key = { 'x-job-key': 'a key of your vault' }
    assert.equal((await check(together, { headers: key, time: at(12) })).upstream?.headers['x-user'], 'jobs')
    assert.equal((await check(together, { headers: key, time: at(3) })).body, 'closed')
    assert.equal((await check(together, { time: at(12) })).status, 401)
  })
})
