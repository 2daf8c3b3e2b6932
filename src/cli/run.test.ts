import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderOf, sallyport } from './terminal.test.fixture.ts'

/** Every mistake is said on stderr, without a stack, and leaves stdout to data. */
async function refused(argv: readonly string[], code: number, expected: RegExp, cwd?: string): Promise<void> {
  const answer = await sallyport(argv, cwd === undefined ? {} : { cwd })
  const what = `${argv.join(' ')}\n${answer.stderr}`
  assert.equal(answer.stdout, '', what)
  assert.match(answer.stderr, expected, what)
  assert.doesNotMatch(answer.stderr, /^ +at .*:\d+|node:internal|internal error:/m, what)
  assert.equal(answer.code, code, what)
}

test('a command line that cannot be understood says what is wrong, and what was meant', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /^sallyport 1\.2\.3: /],
    ['explan', /unknown command `explan`\n {2}did you mean `explain`\?/],
    [
      'nonsense',
      /unknown command `nonsense`\n {2}there are: up, authorizer, analyze, explain, envoy, ca, token, completion/,
    ],
    ['help explan', /did you mean `explain`/],
    ['--versoin', /unknown option `--versoin` .*\n {2}did you mean --version\?/],
    ['-v explain', /`-v` stands before the command/],
    ['--file=x explain', /`--file` stands before the command/],
    ['explain --workloda x', /unknown option `--workloda` of `explain`\n {2}did you mean --workload\?/],
    ['explain -z', /unknown option `-z` of `explain`/],
    ['explain -f', /--file needs a value: --file PATH/],
    ['explain -f --workload a/b', /--file needs a value/],
    ['explain --verbose=1', /--verbose takes no value/],
    ['explain --workload a --workload b', /--workload was given twice/],
    ['explain x.yaml', /unexpected argument `x.yaml`\n {2}files are given with -f PATH/],
    ['explain -o yaml', /--output: `yaml` .*\n {2}one of text, json, jsonl/],
    ['analyze -o jsn', /--output: `jsn` .*\n {2}did you mean `json`\?/],
    ['explain --file=', /--file needs a value/],
    ['explain', /no files: say which with -f PATH/],
    ['analyze', /no files/],
    ['up', /no files/],
    ['authorizer', /no files/],
    ['completion', /no shell\n {2}one of bash, zsh, fish/],
    ['completion bsh', /`bsh` .*\n {2}did you mean `bash`\?/],
    ['completion bash zsh', /unexpected argument `zsh`/],
    ['explain -f - -f -', /standard input \(`-`\) can be read once, not by --file/],
    ['explain -f - --request -', /standard input .* not by --file and --request/],
    ['explain -f - --jwks i=- --curl x', /standard input .* not by --file and --jwks/],
    ['analyze - -', /standard input .* not by PATH/],
  ]
  for (const [line, expected] of cases) await refused(line.split(' ').filter(Boolean), 2, expected)
})

test('help and the version are data, and exit with 0', async () => {
  assert.deepEqual(await sallyport(['--version']), { code: 0, stdout: '1.2.3\n', stderr: '' })
  const whole = await sallyport(['--help'])
  assert.deepEqual([whole.code, whole.stderr], [0, ''])
  for (const name of ['up', 'authorizer', 'analyze', 'explain', 'completion']) {
    assert.match(whole.stdout, new RegExp(`^ {2}${name} `, 'm'))
    const own = await sallyport([name, '--help'])
    assert.deepEqual([own.code, own.stderr], [0, ''])
    assert.match(own.stdout, /^Usage:\n {2}sallyport /m)
    assert.match(own.stdout, /^Examples/m)
    assert.equal((await sallyport(['help', name])).stdout, own.stdout)
    // Also beside what would otherwise be refused.
    assert.equal((await sallyport([name, 'x', 'y', '-h'])).code, 0)
  }
})

const REQUEST = ['--workload', 'default/web', '--curl', 'curl http://web/']

test('files that cannot be read or parsed are all named, with their places, and end every command', async (t) => {
  const cwd = folderOf(t, {
    'empty/notes.txt': 'no YAML\n',
    'binary.yaml': Uint8Array.of(0, 1, 0xff, 0xfe),
    'bad/a.yaml': 'kind: [\n',
    'bad/b.yaml': 'a: 1\na: 2\n---\nb: c: d\n',
    'kinds.yaml':
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolcy\nmetadata: { name: a }\n---\n' +
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\nspec:\n  acton: ALLOW\n',
  })
  symlinkSync('loop.yaml', join(cwd, 'loop.yaml'))
  const cases: readonly (readonly [string, RegExp])[] = [
    ['absent.yaml', /^absent\.yaml: error: no such file or folder \[SP001\]$/m],
    ['loop.yaml', /^loop\.yaml: error: symbolic links lead in a circle \[SP001\]$/m],
    ['binary.yaml/x', /^binary\.yaml\/x: error: a part of the path is no folder/m],
    ['empty', /^empty: error: the folder holds no \.yaml, \.yml or \.json file \[SP001\]$/m],
    ['binary.yaml', /^binary\.yaml: error: the file is not UTF-8 text/m],
    ['bad', /^bad\/a\.yaml:2:1: error: .*\nbad\/b\.yaml:2:1: error: .*\nbad\/b\.yaml:4:4: error: /],
    ['kinds.yaml', /^kinds\.yaml:2:1: error: .*\n.*AuthorizationPolicy`\nkinds\.yaml:9:3: error: .*\n.*`action`/],
  ]
  for (const [path, expected] of cases) {
    await refused(['explain', '-f', path, ...REQUEST], 3, expected, cwd)
    await refused(['up', '-f', path], 3, expected, cwd)
    await refused(['authorizer', '-f', path], 3, expected, cwd)
  }
  const all = cases.flatMap(([path]) => ['-f', path])
  const { stderr } = await sallyport(['explain', ...all, ...REQUEST], { cwd })
  for (const [path] of cases) assert.match(stderr, new RegExp(`^${path.replace('.', '\\.')}.*: error`, 'm'))
})

test('a kind that is not used is said with -v only', async (t) => {
  const cwd = folderOf(t, { 'a.yaml': 'apiVersion: example.org/v1\nkind: Gadget\nmetadata: { name: a }\n' })
  const quiet = await sallyport(['analyze', 'a.yaml'], { cwd })
  assert.deepEqual(quiet, { code: 0, stdout: 'nothing found\n', stderr: '' })
  const verbose = await sallyport(['analyze', '-v', 'a.yaml'], { cwd })
  assert.equal(verbose.code, 0)
  assert.match(verbose.stdout, /^a\.yaml:1:1: info: Gadget \(example\.org\/v1\) is not used and was skipped/)
})

test('colour is for terminals that want it', async () => {
  const argv = ['analyze', 'examples/mistakes']
  const codes = '\x1b['
  assert.ok((await sallyport(argv, { color: true })).stdout.includes(codes))
  assert.ok(!(await sallyport(argv)).stdout.includes(codes))
  assert.ok(!(await sallyport([...argv, '--no-color'], { color: true })).stdout.includes(codes))
  assert.ok(!(await sallyport(['explan', '--no-color'], { color: true })).stderr.includes(codes))
})

test('a broken invariant exits with 4, and shows its stack only with -v', async () => {
  const { run } = await import('./run.ts')
  const broken = {
    ...{ name: 'broken', summary: '', usage: [], description: '', options: [], positionals: null, examples: [] },
    run: async () => {
      throw new Error('impossible')
    },
  }
  for (const [argv, stack] of [
    [['broken'], false],
    [['broken', '-v'], true],
  ] as const) {
    let stderr = ''
    const io = { stderr: (text: string) => (stderr += text), color: { stdout: false, stderr: false } }
    assert.equal(await run(argv, [broken], '0', io as never), 4)
    assert.match(stderr, /internal error: (?:Error: )?impossible/)
    assert.equal(/^\s+at /m.test(stderr), stack)
  }
})
