// Cedar's own engine as WebAssembly: one policy a rule, parsed once and kept by the engine.
import { createRequire } from 'node:module'
import { accountNamespace } from '../traffic/policy.mjs'
import { headerOf } from './rbac.mjs'

const require = createRequire(import.meta.url)
const { preparsePolicySet, statefulIsAuthorized } = require('@cedar-policy/cedar-wasm/nodejs')

const SET = 'bench'

export function open(policies) {
  const staticPolicies = Object.fromEntries(policies.map((policy) => [policy.metadata.name, textOf(policy.spec)]))
  const parsed = preparsePolicySet(SET, { staticPolicies })
  if (parsed.type !== 'success') throw new Error(JSON.stringify(parsed.errors[0]))
  return {
    prepare({ peer, path, host, method, headers, remoteIp }) {
      const lines = {}
      for (let i = 0; i < headers.length; i += 2) lines[headers[i]] = headers[i + 1]
      return {
        principal: { type: 'Peer', id: peer },
        action: { type: 'Action', id: method },
        resource: { type: 'Workload', id: 'web' },
        context: {
          namespace: accountNamespace(peer),
          path: path.split('?')[0],
          host: host.toLowerCase(),
          headers: lines,
          remoteIp: { __extn: { fn: 'ip', arg: remoteIp } },
        },
        preparsedPolicySetId: SET,
        entities: [],
      }
    },
    allows(call) {
      const { response, errors } = statefulIsAuthorized(call)
      if (response === undefined) throw new Error(JSON.stringify(errors))
      return response.decision === 'allow'
    },
  }
}

function textOf({ action, rules: [rule] }) {
  const { methods, ...operation } = rule.to?.[0].operation ?? {}
  const { principals = [], ...source } = rule.from?.[0].source ?? {}
  // Where Cedar has a place for a condition in a policy's head, it stands there: its engine looks there first.
  const principal = principals.length === 1 ? `principal == ${peer(principals[0])}` : 'principal'
  const verb = methods === undefined ? 'action' : `action in [${methods.map((method) => `Action::${quote(method)}`)}]`
  const tests = [
    ...(principals.length > 1 ? [`[${principals.map(peer)}].contains(principal)`] : []),
    ...Object.entries({ ...source, ...operation }).map(([field, values]) => testOf(field, values)),
    ...(rule.when ?? []).map(({ key, values }) => {
      const name = quote(headerOf(key))
      return `context.headers has ${name} && [${values.map(quote)}].contains(context.headers[${name}])`
    }),
  ]
  const effect = action === 'DENY' ? 'forbid' : 'permit'
  const when = tests.length === 0 ? '' : ` when { ${tests.map((test) => `(${test})`).join(' && ')} }`
  return `${effect}(${principal}, ${verb}, resource)${when};`
}

function testOf(field, values) {
  switch (field) {
    case 'notPrincipals':
      return `!([${values.map(peer)}].contains(principal))`
    case 'namespaces':
      return `[${values.map(quote)}].contains(context.namespace)`
    case 'remoteIpBlocks':
      return values.map((value) => `context.remoteIp.isInRange(ip(${quote(value)}))`).join(' || ')
    case 'hosts':
      return `[${values.map(quote)}].contains(context.host)`
    case 'paths':
      return values.map((value) => `context.path ${value.includes('*') ? 'like' : '=='} ${quote(value)}`).join(' || ')
    default:
      throw new Error(`no translation of ${field}`)
  }
}

const quote = (text) => JSON.stringify(text)
const peer = (id) => `Peer::${quote(id)}`
