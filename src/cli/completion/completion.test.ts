import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { commands } from '../commands.ts'
import { folderOf, program, sallyport } from '../terminal.test.fixture.ts'

/** What bash would offer for a line that ends where the cursor is. */
async function complete(line: string, cwd?: string): Promise<string[]> {
  const words = line.split(' ')
  const quoted = words.map((word) => `'${word}'`).join(' ')
  const { stdout, stderr } = await program(
    `source <(sallyport completion bash)
complete -p sallyport >&2
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
_sallyport
printf '%s\\n' "\${COMPREPLY[@]}"`,
    cwd === undefined ? {} : { cwd },
  )
  assert.equal(stderr, 'complete -o filenames -F _sallyport sallyport\n')
  return stdout.split('\n').filter(Boolean).sort()
}

test('bash completes commands, options, their values and files', async (t) => {
  const cwd = folderOf(t, { 'policies/a.yaml': '', 'policy file.yaml': '', 'other.json': '' })
  const names = commands.map((command) => command.name)
  assert.deepEqual(await complete('sallyport '), ['--help', '--version', ...names].sort())
  assert.deepEqual(await complete('sallyport a'), ['analyze', 'authorizer'])
  assert.deepEqual(await complete('sallyport explain --req'), ['--request', '--requests'])
  assert.deepEqual(await complete('sallyport explain -o '), ['json', 'jsonl', 'text'])
  assert.deepEqual(await complete('sallyport analyze --output s'), ['sarif'])
  assert.deepEqual(await complete('sallyport explain -f pol', cwd), ['policies', 'policy file.yaml'])
  assert.deepEqual(await complete('sallyport up --ca-dir ', cwd), ['policies'])
  assert.deepEqual(await complete('sallyport analyze o', cwd), ['other.json'])
  assert.deepEqual(await complete('sallyport explain --workload '), [])
  assert.deepEqual(await complete('sallyport explain o', cwd), [])
  assert.deepEqual(await complete('sallyport completion '), ['bash', 'fish', 'zsh'])
})

test('every option of every command is in each script', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout, stderr } = await sallyport(['completion', shell])
    assert.deepEqual([code, stderr], [0, ''])
    for (const { name, options } of commands) {
      assert.ok(stdout.includes(name))
      for (const option of options) assert.ok(stdout.includes(option.name), `${shell}: ${name} --${option.name}`)
    }
  }
})

for (const shell of ['bash', 'zsh', 'fish']) {
  const missing = spawnSync(shell, ['-c', ':']).status !== 0
  test(`${shell} understands its script`, { skip: missing ? `${shell} is not installed here` : false }, async () => {
    const { stdout } = await sallyport(['completion', shell])
    const { status, stderr } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' })
    assert.deepEqual([status, stderr], [0, ''])
  })
}
