import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderOf, main, program, root } from './terminal.test.fixture.ts'

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.deepEqual(await program(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

test('exit codes reach the shell, and streams are apart', async () => {
  const fine = await program([
    'explain',
    '-f',
    'examples/opa',
    '--workload',
    'default/httpbin-with-opa',
    '--curl',
    'curl x/ip',
  ])
  assert.deepEqual([fine.code, fine.stderr], [0, ''])
  assert.match(fine.stdout, /^ALLOW 200/)
  const codes: readonly (readonly [readonly string[], number])[] = [
    [['analyze', 'examples/mistakes'], 1],
    [['explan'], 2],
    [['analyze', 'absent'], 3],
  ]
  for (const [argv, code] of codes) assert.equal((await program(argv)).code, code)
})

test('a reader that goes away early is no error', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, id) => JSON.stringify({ id, path: '/ip' }))
  const cwd = folderOf(t, { 'many.jsonl': lines.join('\n') })
  const line = `sallyport explain -f examples/opa --workload default/httpbin-with-opa --requests ${cwd}/many.jsonl -o jsonl`
  const { stdout, stderr } = await program(`${line} | head -1`)
  assert.match(stdout, /^\{"id":0,.*\}\n$/)
  assert.equal(stderr, '')
  const talk = await program('sallyport --help 2>&1 >&- | head -1; sallyport explan 2>&1 | true')
  assert.equal(talk.stderr, '')
})

test('a pipe is a file', async () => {
  const policy = 'apiVersion: security.istio.io/v1\\nkind: AuthorizationPolcy\\nmetadata: { name: a }\\n'
  const { code, stdout } = await program(`sallyport analyze <(printf '${policy}')`)
  assert.equal(code, 1)
  assert.match(stdout, /:2:1: error: .*AuthorizationPolcy/)
  const request = `printf '{"path":"/ip"}' | sallyport explain -f examples/opa --workload default/httpbin-with-opa --request -`
  assert.match((await program(request)).stdout, /^ALLOW 200/)
})

test('requests are answered as they come', async () => {
  const line = 'sallyport explain -f examples/opa --workload default/httpbin-with-opa --requests - -o jsonl'
  // The second request is written only when the first has been answered: nothing waits for the end of the input.
  const { code, stdout } = await program(
    `coproc ${line}; echo '{"id":1,"path":"/ip"}' >&\${COPROC[1]}; read -r one <&\${COPROC[0]}; ` +
      `echo '{"id":2,"path":"/x"}' >&\${COPROC[1]}; read -r two <&\${COPROC[0]}; echo "$one"; echo "$two"`,
  )
  assert.equal(code, 0)
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((answer) => [JSON.parse(answer).id, JSON.parse(answer).decision]),
    [
      [1, 'allow'],
      [2, 'ask'],
    ],
  )
})

test('a command that serves nothing ends at the first signal', async () => {
  const argv = [
    'explain',
    '-f',
    'examples/opa',
    '--workload',
    'default/httpbin-with-opa',
    '--requests',
    '-',
    '-o',
    'jsonl',
  ]
  const child = spawn(process.execPath, [main, ...argv], { cwd: root })
  const exited = once(child, 'exit')
  child.stdin.write('{"id":1,"path":"/ip"}\n')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  assert.deepEqual(await exited, [null, 'SIGINT'])
})
