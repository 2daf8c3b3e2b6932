// Policies as Istio writes them for Envoy: lists of rules, one list a filter (pilot/pkg/security/authz/model). Fields that
// no set of policies given to a peer has are an error.
import { ruleId } from '../traffic/policy.mjs'

/**
 * The rules of one action as Envoy's `RBAC` message, in the names of its JSON form, or null without such a policy.
 * `peerMatch` makes a principal of a match on the peer's SPIFFE id: by its certificate, or by what a filter noted.
 */
export function rbacOf(policies, action, peerMatch) {
  const some = policies.filter(({ spec }) => spec.action === action)
  if (some.length === 0) return null
  const entries = some.map((policy) => [ruleId(policy), ruleOf(policy.spec.rules[0], peerMatch)])
  return { action, policies: Object.fromEntries(entries) }
}

function ruleOf({ from, to, when = [] }, peerMatch) {
  const rules = Object.entries(to?.[0].operation ?? {}).map(([field, values]) => {
    if (!Object.hasOwn(operations, field)) throw new Error(`no translation of ${field}`)
    return { or_rules: { rules: values.map(operations[field]) } }
  })
  const ids = [
    ...Object.entries(from?.[0].source ?? {}).map(([field, values]) => sourceOf(field, values, peerMatch)),
    ...when.map(({ key, values }) => {
      const name = headerOf(key)
      return { or_ids: { ids: values.map((value) => ({ header: { name, string_match: stringMatch(value) } })) } }
    }),
  ]
  return {
    permissions: [{ and_rules: { rules: rules.length === 0 ? [{ any: true }] : rules } }],
    principals: [{ and_ids: { ids: ids.length === 0 ? [{ any: true }] : ids } }],
  }
}

const operations = {
  hosts: (value) => ({ header: { name: ':authority', string_match: { ...stringMatch(value), ignore_case: true } } }),
  methods: (value) => ({ header: { name: ':method', string_match: stringMatch(value) } }),
  paths: (value) => ({ url_path: { path: stringMatch(value) } }),
}

function sourceOf(field, values, peerMatch) {
  const principal = (value) => peerMatch({ exact: `spiffe://${value}` })
  switch (field) {
    case 'principals':
      return { or_ids: { ids: values.map(principal) } }
    case 'notPrincipals':
      return { not_id: { or_ids: { ids: values.map(principal) } } }
    case 'namespaces':
      return { or_ids: { ids: values.map((value) => peerMatch({ safe_regex: { regex: `.*/ns/${value}/.*` } })) } }
    case 'remoteIpBlocks':
      return { or_ids: { ids: values.map((value) => ({ remote_ip: cidr(value) })) } }
    default:
      throw new Error(`no translation of ${field}`)
  }
}

/** `x` of the `when` key `request.headers[x]`. */
export function headerOf(key) {
  const [, name] = /^request\.headers\[(.+)\]$/.exec(key) ?? []
  if (name === undefined) throw new Error(`no translation of ${key}`)
  return name
}

function stringMatch(value) {
  if (value.endsWith('*')) return { prefix: value.slice(0, -1) }
  if (value.startsWith('*')) return { suffix: value.slice(1) }
  return { exact: value }
}

function cidr(value) {
  const [address_prefix, bits] = value.split('/')
  return { address_prefix, prefix_len: Number(bits) }
}
