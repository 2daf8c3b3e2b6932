import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { catalog } from '../../source/catalog.ts'
import { folderOf, root, sallyport } from '../terminal.test.fixture.ts'

interface Finding {
  readonly code: keyof typeof catalog
  readonly severity: string
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  readonly help?: string
}

async function findings(...argv: readonly string[]): Promise<readonly Finding[]> {
  return JSON.parse((await sallyport(['analyze', ...argv, '-o', 'json'])).stdout).findings
}

test('every mistake of the example, at its place, with what to write instead', async () => {
  const found = await findings('examples/mistakes')
  const told = found.map(({ code, line, column, help }) => [code, line, column, help ?? ''] as const)
  const expected: readonly (readonly [string, number, number, RegExp])[] = [
    ['SP102', 2, 1, /kind: AuthorizationPolicy/],
    ['SP103', 16, 5, /an ALLOW rule does not delegate.*action: CUSTOM/],
    ['SP103', 28, 7, /extensionProviders/],
    ['SP103', 50, 5, /matchLabels/],
    ['SP301', 54, 5, /extensionProviders/],
    ['SP103', 58, 9, /principals/],
    ['SP103', 61, 9, /methods/],
    ['SP404', 62, 17, /\/api\/\{\*\}\/users/],
  ]
  assert.deepEqual(
    told.map(([code, line, column]) => [code, line, column]),
    expected.map(([code, line, column]) => [code, line, column]),
  )
  for (const [i, [, , , help]] of expected.entries()) assert.match(told[i]?.[3] ?? '', help)
  for (const one of found) {
    assert.equal(one.file, 'examples/mistakes/mistakes.yaml')
    assert.deepEqual(
      Object.keys(one),
      ['code', 'severity', 'file', 'line', 'column', 'message', 'help', 'example'].filter((key) => key in one),
    )
  }
})

test('the exit code is 0 without findings, 1 with an error or a warning, 3 where a file cannot be parsed', async (t) => {
  const cwd = folderOf(t, {
    'bad.yaml': 'a: [\n',
    'good.yaml': 'apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n',
  })
  const codes = await Promise.all(
    ['text', 'json', 'sarif', 'github'].map(async (format) => {
      const code = async (path: string) => (await sallyport(['analyze', path, '-o', format])).code
      return [
        await code('examples/delegated'),
        await code('examples/frontend-backend'),
        await code('examples/mistakes'),
        await code(join(cwd, 'bad.yaml')),
        await code(join(cwd, 'absent.yaml')),
        await code(cwd),
      ]
    }),
  )
  for (const one of codes) assert.deepEqual(one, [0, 1, 1, 3, 3, 3])
  assert.equal((await sallyport(['analyze', join(cwd, 'good.yaml')])).code, 0)
  assert.equal((await sallyport(['analyze', '-f', 'examples/mistakes'])).code, 1)
})

test('standard input is a file called -', async () => {
  const { code, stdout } = await sallyport(['analyze', '-'], { stdin: 'apiVersion: v1\nkind: Sevice\nmetadata: {}\n' })
  assert.equal(code, 1)
  assert.match(stdout, /^-:2:1: error: .*\n {4}write `kind: Service`/)
})

test('SARIF has what code scanners need', async (t) => {
  const cwd = folderOf(t, { 'odd name#1.yaml': 'apiVersion: v1\nkind: Sevice\nmetadata: { name: a }\n' })
  const log = JSON.parse((await sallyport(['analyze', 'examples/mistakes', '-o', 'sarif'])).stdout)
  assert.equal(log.version, '2.1.0')
  const [{ tool, results }] = log.runs
  assert.deepEqual([tool.driver.name, tool.driver.version], ['sallyport', '1.2.3'])
  assert.equal(results.length, 8)
  for (const { ruleId, ruleIndex, level, message, locations } of results) {
    assert.equal(tool.driver.rules[ruleIndex].id, ruleId)
    assert.equal(tool.driver.rules[ruleIndex].shortDescription.text, catalog[ruleId as Finding['code']].title)
    assert.ok(['error', 'warning', 'note'].includes(level))
    assert.ok(message.text.length > 0)
    const [{ physicalLocation }] = locations
    assert.equal(physicalLocation.artifactLocation.uri, 'examples/mistakes/mistakes.yaml')
    assert.ok(physicalLocation.region.startLine >= 1 && physicalLocation.region.startColumn >= 1)
  }
  const odd = JSON.parse((await sallyport(['analyze', '.', '-o', 'sarif'], { cwd })).stdout)
  assert.equal(odd.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri, 'odd%20name%231.yaml')
  const none = JSON.parse((await sallyport(['analyze', 'examples/delegated', '-o', 'sarif'])).stdout)
  assert.deepEqual(none.runs[0].results, [])
})

test('GitHub annotations are one line each, and cannot be forged', async (t) => {
  const { stdout } = await sallyport(['analyze', 'examples/mistakes', '-o', 'github'])
  const lines = stdout.trimEnd().split('\n')
  assert.equal(lines.length, 8)
  for (const line of lines) {
    assert.match(line, /^::(?:error|warning) file=examples\/mistakes\/mistakes\.yaml,line=\d+,col=\d+,title=SP\d+::\S/)
  }
  const cwd = folderOf(t, { 'a,b:c.yaml': 'apiVersion: v1\nkind: "Service\\n::error::x"\nmetadata: { name: a }\n' })
  const odd = await sallyport(['analyze', '.', '-v', '-o', 'github'], { cwd })
  assert.match(odd.stdout, /^::\w+ file=a%2Cb%3Ac\.yaml,/)
  assert.equal(odd.stdout.split('\n').filter((line) => line.startsWith('::')).length, odd.stdout.split('\n').length - 1)
})

/** What the vectors mean to show, and so what an analyzer has to find. */
const DELIBERATE: Readonly<Record<string, readonly string[]>> = {
  'custom-bad-01-unknown': ['SP301'],
  'custom-bad-03-two-providers': ['SP402', 'SP402'],
  'custom-tcp-http-provider': ['SP409'],
  'hand-03-deny-first': ['SP401'],
  'hand-18b-rp-https-star': ['SP405'],
  'hand-18d-rp-star-star': ['SP405'],
  'hand-26-method-case': ['SP405'],
  'hand-28-mid-star': ['SP404'],
  'hand-40-target-port': ['SP406'],
  'hand-42-tcp-allow-get': ['SP409'],
  'hand-43-tcp-allow-mixed': ['SP409'],
  'hand-43b-tcp-allow-two-rules': ['SP409'],
  'hand-45-tcp-deny-header': ['SP409'],
  'hand-47-tcp-deny-ns-header': ['SP409'],
  'hand-47b-tcp-deny-alternatives': ['SP409', 'SP403'],
  'hand-47f-tcp-identity': ['SP404'],
}

test('the vectors have no findings but what they are about', async () => {
  const cases = 'test/corpus/cases'
  // The suites of our own are about odd and invalid policies, but for the one that speaks of a waypoint's tokens.
  const names = readdirSync(join(root, cases)).filter((name) => !name.startsWith('own-'))
  for (const name of [...names, 'own-attach-jwt-waypoint']) {
    const found = await findings(`${cases}/${name}/mesh.yaml`)
    // Istio itself warns of a DENY rule that would refuse all TCP.
    const codes = found.map(({ code }) => code).filter((code) => code !== 'SP251')
    assert.deepEqual(codes, DELIBERATE[name] ?? [], name)
  }
})

test('what is not portable is always said, and is no failure', async () => {
  const { stdout, code } = await sallyport(['analyze', 'examples/beyond'])
  assert.equal(code, 0)
  assert.match(
    stdout,
    /delegation\.yaml:4:13: info: Istio ignores the Delegation `default\/orders`: .*passes there \[SP410\]/,
  )
})
