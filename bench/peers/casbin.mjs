// node-casbin: one line of its table a policy, and a matcher that tests each field that the line has.
import { createRequire } from 'node:module'
import { accountNamespace } from '../traffic/policy.mjs'
import { headerOf } from './rbac.mjs'

const require = createRequire(import.meta.url)
const { newEnforcer, newModelFromString } = require('casbin')

const MODEL = `
[request_definition]
r = peer, namespace, host, method, path, tenant, remoteIp

[policy_definition]
p = peers, notPeers, namespaces, hosts, methods, paths, tenants, network, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.peers == "" || among(r.peer, p.peers)) && (p.namespaces == "" || among(r.namespace, p.namespaces)) \\
  && (p.hosts == "" || among(r.host, p.hosts)) && (p.paths == "" || onPath(r.path, p.paths)) \\
  && (p.methods == "" || among(r.method, p.methods)) && (p.tenants == "" || among(r.tenant, p.tenants)) \\
  && (p.notPeers == "" || !among(r.peer, p.notPeers)) && (p.network == "" || ipMatch(r.remoteIp, p.network))
`

export async function open(policies) {
  const enforcer = await newEnforcer(newModelFromString(MODEL))
  await enforcer.addFunction('among', (value, list) => list.includes(`|${value}|`))
  await enforcer.addFunction('onPath', onPath)
  await enforcer.addPolicies(policies.map(({ spec }) => lineOf(spec)))
  return {
    prepare({ peer, path, host, method, headers, remoteIp }) {
      const tenant = headers.indexOf('x-tenant')
      return [
        peer,
        accountNamespace(peer),
        host.toLowerCase(),
        method,
        path.split('?')[0],
        tenant === -1 ? '' : headers[tenant + 1],
        remoteIp,
      ]
    },
    allows: (values) => enforcer.enforceSync(...values),
  }
}

function lineOf({ action, rules: [rule] }) {
  const { principals, notPrincipals, namespaces, remoteIpBlocks, ...source } = rule.from?.[0].source ?? {}
  const { hosts, methods, paths, ...operation } = rule.to?.[0].operation ?? {}
  const [field] = [...Object.keys(source), ...Object.keys(operation)]
  if (field !== undefined) throw new Error(`no translation of ${field}`)
  const tenants = (rule.when ?? []).flatMap(({ key, values }) => {
    if (headerOf(key) !== 'x-tenant') throw new Error(`no translation of ${key}`)
    return values
  })
  const lists = [principals, notPrincipals, namespaces, hosts, methods, paths, tenants]
  return [...lists.map(listOf), remoteIpBlocks?.[0] ?? '', action.toLowerCase()]
}

const listOf = (values = []) => (values.length === 0 ? '' : `|${values.join('|')}|`)

function onPath(path, list) {
  if (list.endsWith('*|')) return path.startsWith(list.slice(1, -2))
  if (list.startsWith('|*')) return path.endsWith(list.slice(2, -1))
  return list.includes(`|${path}|`)
}
