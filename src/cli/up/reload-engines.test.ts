import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderOf, start } from '../terminal.test.fixture.ts'

const QUIET = ['--health-port', '0', '--metrics-port', '0', '--admin-port', '0', '--ca-dir', 'ca']
const WEB = ['--workload', 'default/web', '--service-account', 'web', '--listen', '8080=127.0.0.1:0']

function authorizer(name: string, engine: string): string {
  return `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: ${name}, namespace: default }
spec: { http: { listen: "127.0.0.1:0" }, engine: ${engine} }
---
`
}

/** Somebody who writes the policy goes on while engines are loaded: stands in for a slow writer. */
const WRITER = `import { readFileSync, writeFileSync } from 'node:fs'
const policy = new URL('policy.cel', import.meta.url)
if (readFileSync(policy, 'utf8') === 'true') writeFileSync(policy, 'true && false')
export default { check: () => ({ allow: true }) }
`

for (const command of ['authorizer', 'up']) {
  test(`a policy that is still being written while engines are loaded does not take effect: ${command}`, async (t) => {
    const cwd = folderOf(t, {
      'mesh.yaml':
        authorizer('cel', '{ cel: { path: policy.cel } }') + authorizer('mod', '{ module: { path: mod.mjs } }'),
      'policy.cel': 'false',
      'mod.mjs': 'export default { check: () => ({ allow: true }) }',
    })
    const more = command === 'up' ? [...WEB, '--app', '127.0.0.1:1', ...QUIET] : []
    const running = start(t, [command, '-f', 'mesh.yaml', ...more], { cwd })
    const at = /authorizer=default\/cel .*http=(\S+)/.exec(await running.hears(/^ready$/m))?.[1]
    const status = async () => (await fetch(`http://${at}/`)).status
    assert.equal(await status(), 403)
    writeFileSync(join(cwd, 'policy.cel'), 'true')
    writeFileSync(join(cwd, 'mod.mjs'), WRITER)
    await running.hears(/^applied: /m)
    assert.equal(await status(), 403)
    writeFileSync(join(cwd, 'policy.cel'), 'true || false')
    await running.hears(/(?:^applied: .*$\s){2}/m)
    assert.equal(await status(), 200)
  })
}
