import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

// What `npm run soak` runs.
const program = fileURLToPath(new URL('../../../scripts/soak.mjs', import.meta.url))

interface Ended {
  readonly pid: number
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end; `heard` is told what it has written to standard error so far. */
function soak(args: readonly string[], heard: (stderr: string, pid: number) => void = () => {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const pid = child.pid ?? 0
    const said = { stdout: '', stderr: '' }
    const timer = setTimeout(() => child.kill('SIGTERM'), 100_000)
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said.stderr += text
      heard(said.stderr, pid)
    })
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ pid, code, ...said })
    })
  })
}

/** Processes that a run has left behind. */
function leftBy(pid: number): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`SALLYPORT_SOAK_RUN=${pid}-`)
    } catch {
      return false
    }
  })
}

test('some seconds of traffic and faults are judged, and nothing is found', async () => {
  const { pid, code, stdout, stderr } = await soak(['--seed', '5', '--minutes', '0.04', '--rate', '200', '-o', 'json'])
  const { requests, resources, findings } = JSON.parse(stdout)
  assert.deepEqual([code, findings], [0, []], stderr)
  const kinds = new Map<string, { allowed: number; refused: number }>()
  for (const one of requests) kinds.set(one.kind, one)
  for (const kind of ['request to pool', 'request to gate', 'request to orders', 'check, long connection']) {
    const { allowed = 0, refused = 0 } = kinds.get(kind) ?? {}
    assert.ok(allowed > 0 && refused > 0, `${kind}: ${allowed} allowed, ${refused} refused`)
  }
  assert.equal(resources.length, 16)
  assert.deepEqual(leftBy(pid), [])
})

test('a run that is interrupted leaves nothing behind', async () => {
  let running = 0
  const { pid, code, stdout } = await soak(['--minutes', '10'], (stderr, pid) => {
    if (!stderr.includes('requests a second') || running > 0) return
    running = leftBy(pid).length
    process.kill(pid, 'SIGINT')
  })
  // The application, the proxies, three authorizers and their workers.
  assert.ok(running >= 9, `${running} ran`)
  assert.deepEqual([code, stdout], [130, ''])
  assert.deepEqual(leftBy(pid), [])
})

test('options that make no sense are refused', async () => {
  for (const args of [['--minutes', '0'], ['--seed', 'x'], ['--rate', '1e9'], ['-o', 'xml'], ['more']]) {
    const { code, stderr } = await soak(args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, /usage: npm run soak/)
  }
})
