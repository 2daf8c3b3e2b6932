// Open Policy Agent: Rego, one rule a policy, compiled to WebAssembly by `opa build` and run by OPA's own package.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import opaWasm from '@open-policy-agent/opa-wasm'
import { accountNamespace } from '../traffic/policy.mjs'
import { headerOf } from './rbac.mjs'

const binary = fileURLToPath(new URL('../../.peers/bin/opa', import.meta.url))

export async function open(policies, { seconds }) {
  const policy = await opaWasm.loadPolicy(build(rego(policies), seconds), { initial: MEMORY_PAGES })
  return {
    prepare({ peer, path: target, host, method, headers, remoteIp }) {
      const lines = {}
      for (let i = 0; i < headers.length; i += 2) lines[headers[i]] = headers[i + 1]
      const [urlPath] = target.split('?')
      return {
        peer,
        namespace: accountNamespace(peer),
        method,
        path: urlPath,
        host: host.toLowerCase(),
        headers: lines,
        remoteIp,
      }
    },
    allows: (input) => policy.evaluate(input)[0].result === true,
  }
}

/** Of 64 KiB, to begin with: the package's own five do not hold the texts of 10,000 policies. */
const MEMORY_PAGES = 1024

/** Says why it cannot be measured here, or null. */
export function missing() {
  return existsSync(binary) ? null : 'opa is not installed (scripts/peers.sh --only opa)'
}

function build(text, seconds) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
  try {
    writeFileSync(path.join(folder, 'policy.rego'), text)
    const args = [
      'build',
      '--target',
      'wasm',
      '--entrypoint',
      'bench/allow',
      '--output',
      'bundle.tar.gz',
      'policy.rego',
    ]
    execFileSync(binary, args, { cwd: folder, timeout: seconds * 1000, stdio: ['ignore', 'ignore', 'pipe'] })
    execFileSync('tar', ['-xzf', 'bundle.tar.gz', '/policy.wasm'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    return readFileSync(path.join(folder, 'policy.wasm'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function rego(policies) {
  const head = ['package bench', 'default allow := false', 'allow if { permitted; not denied }']
  return [...head, ...policies.map(({ spec }) => ruleOf(spec)), ''].join('\n')
}

function ruleOf({ action, rules: [rule] }) {
  const fields = { ...rule.from?.[0].source, ...rule.to?.[0].operation }
  const tests = [
    ...Object.entries(fields).map(([field, values]) => testOf(field, values)),
    ...(rule.when ?? []).map(({ key, values }) => `input.headers[${quote(headerOf(key))}] in ${set(values)}`),
  ]
  return `${action === 'DENY' ? 'denied' : 'permitted'} if { ${tests.join('; ')} }`
}

function testOf(field, values) {
  switch (field) {
    case 'principals':
      return isOne('input.peer', values)
    case 'notPrincipals':
      return `not input.peer in ${set(values)}`
    case 'namespaces':
      return isOne('input.namespace', values)
    case 'remoteIpBlocks':
      return `net.cidr_contains(${quote(values[0])}, input.remoteIp)`
    case 'hosts':
      return isOne('input.host', values)
    case 'methods':
      return isOne('input.method', values)
    case 'paths':
      if (values.every((value) => !value.includes('*'))) return isOne('input.path', values)
      return values[0].endsWith('*')
        ? `startswith(input.path, ${quote(values[0].slice(0, -1))})`
        : `endswith(input.path, ${quote(values[0].slice(1))})`
    default:
      throw new Error(`no translation of ${field}`)
  }
}

const isOne = (text, values) => (values.length === 1 ? `${text} == ${quote(values[0])}` : `${text} in ${set(values)}`)
const set = (values) => `{${values.map(quote).join(', ')}}`
const quote = (text) => JSON.stringify(text)
