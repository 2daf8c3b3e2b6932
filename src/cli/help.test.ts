import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { commands } from './commands.ts'
import { folderOf, main, root } from './terminal.test.fixture.ts'

/** Ports that the examples name, where others may listen. */
const PORTS = /\b(?:3000|8080|9090|9191|1[58]\d{3})\b/g

/** A folder with a copy of examples/, and what gives each port in it and in command lines another, free one. */
async function relocated(t: TestContext): Promise<{ readonly cwd: string; move(text: string): string }> {
  const cwd = folderOf(t, {})
  cpSync(join(root, 'examples'), join(cwd, 'examples'), { recursive: true })
  const files = readdirSync(join(cwd, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(cwd, 'examples', name))
  const texts = files.map((file) => readFileSync(file, 'utf8'))
  const examples = commands.flatMap((command) => command.examples.map(([line]) => line))
  const named = new Set([...texts, ...examples].flatMap((text) => text.match(PORTS) ?? []))
  const free = await freePorts(named.size)
  const moved = new Map([...named].map((port, i) => [port, String(free[i])]))
  const move = (text: string) => text.replace(PORTS, (port) => moved.get(port) ?? port)
  for (const [i, file] of files.entries()) writeFileSync(file, move(texts[i] ?? ''))
  return { cwd, move }
}

/** Held together, so that all differ. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** What each example ends with; a command that serves is told to end once it says that it is ready. */
const CODES: Readonly<Record<string, number>> = { analyze: 1 }

for (const { name, examples, options } of commands) {
  test(`the examples of ${name} --help work`, async (t) => {
    assert.ok(examples.length > 0)
    const { cwd, move } = await relocated(t)
    const home = join(cwd, 'home')
    mkdirSync(join(home, '.config/fish/completions'), { recursive: true })
    for (const [line] of examples) {
      const shell = `sallyport() { "${process.execPath}" "${main}" "$@"; }\n${move(line)}`
      const serves = name === 'up' || name === 'authorizer'
      const script = serves ? shell.replace(/\nsallyport/, `\nexec "${process.execPath}" "${main}"`) : shell
      const child = spawn('bash', ['-c', script], { cwd, env: { PATH: process.env.PATH, HOME: home } })
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
        if (serves && /^ready$/m.test(stderr)) child.kill('SIGTERM')
      })
      const [code] = await once(child, 'close')
      assert.equal(code, CODES[name] ?? 0, `${line}\n${stderr}`)
      assert.doesNotMatch(stderr, /error: /, line)
      if (name === 'explain' || name === 'analyze') assert.ok(stdout.length > 0, line)
    }
    for (const option of options) assert.ok(option.help.length > 0, option.name)
  })
}
