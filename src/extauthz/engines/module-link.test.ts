import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import type { AuthorizerRequest } from '../index.ts'
import { loadModule } from './module.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-'))
after(() => rmSync(folder, { recursive: true }))

/** As Kubernetes changes what it mounts: the new folder first, then one link, and the old folder goes. */
function mount(version: string, status: number): void {
  mkdirSync(path.join(folder, version))
  const text = `import { deny } from 'sallyport/extauthz'\nexport default () => deny({ status: ${status} })\n`
  writeFileSync(path.join(folder, version, 'check.ts'), text)
  symlinkSync(version, path.join(folder, 'next'))
  renameSync(path.join(folder, 'next'), path.join(folder, 'data'))
}

test('a module is found where a link leads now', async () => {
  symlinkSync('data/check.ts', path.join(folder, 'check.ts'))
  const decide = async () => {
    const loading = await loadModule(path.join(folder, 'check.ts'))
    assert(loading.kind === 'loaded', JSON.stringify(loading))
    const answer = await loading.checks.check({} as AuthorizerRequest)
    return answer.kind === 'deny' && answer.status
  }
  mount('v1', 401)
  assert.equal(await decide(), 401)
  mount('v2', 402)
  rmSync(path.join(folder, 'v1'), { recursive: true })
  assert.equal(await decide(), 402)
})
