import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition, PolicyIr, Ruleset } from './ir.ts'
import { lowerSpecs } from './policies.test.fixture.ts'

/** `field=a,b!c`: any of a and b, none of c. */
function print({ field, any, none }: Condition): string {
  const written = (values: Condition['any']) => values.map((value) => value.written).join(',')
  return `${field}=${written(any)}${none.length === 0 ? '' : `!${written(none)}`}`
}

/** Of the only rule: permissions before principals, alternatives apart; null when it was dropped. */
function rule(rules: Ruleset | null): string | null {
  const [only] = rules ?? []
  if (only === undefined) return null
  const side = (list: readonly (readonly Condition[])[]) =>
    list
      .map((all) =>
        all
          .map(print)
          .filter((text) => !text.endsWith('='))
          .join(' & '),
      )
      .join(' | ')
  return `${side(only.permissions)} ; ${side(only.principals)}`
}

type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
const actions: readonly Action[] = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']

function rulesOf(ir: PolicyIr, action: Action): Ruleset | null {
  switch (action) {
    case 'ALLOW':
      return ir.allow
    case 'DENY':
      return ir.deny
    case 'AUDIT':
      return ir.audit
    case 'CUSTOM':
      return ir.custom.kind === 'ask' ? ir.custom.rules : null
    default:
      return action satisfies never
  }
}

function lowerRule(action: Action, text: string, protocol: 'http' | 'tcp'): string | null {
  const provider = action === 'CUSTOM' ? ', provider: { name: grpc }' : ''
  return rule(rulesOf(lowerSpecs({ p: `{ action: ${action}${provider}, rules: [${text}] }` }, { protocol }), action))
}

/**
 * What becomes of a value that cannot be expressed: `narrow` for ALLOW, which loses the whole rule with all of its
 * alternatives, `wide` for the others, which lose the value, and with the last value the condition.
 */
const inexpressible: readonly {
  readonly what: string
  readonly rule: string
  readonly protocol: 'http' | 'tcp'
  readonly wide: string | null
}[] = [
  { what: 'a port', rule: '{ to: [{ operation: { ports: [x] } }] }', protocol: 'http', wide: ' ; ' },
  {
    what: 'one of two ports',
    rule: '{ to: [{ operation: { ports: [x, "80"] } }] }',
    protocol: 'http',
    wide: 'ports=80 ; ',
  },
  { what: 'a port among notPorts', rule: '{ to: [{ operation: { notPorts: [x] } }] }', protocol: 'http', wide: ' ; ' },
  {
    what: 'one of two notPorts',
    rule: '{ to: [{ operation: { notPorts: ["99999", "80"] } }] }',
    protocol: 'http',
    wide: 'ports=!80 ; ',
  },
  {
    what: 'a value in one alternative',
    rule: '{ to: [{ operation: { ports: [x] } }, { operation: { ports: ["80"] } }] }',
    protocol: 'http',
    wide: ' | ports=80 ; ',
  },
  { what: 'an address', rule: '{ from: [{ source: { ipBlocks: ["1.2.3"] } }] }', protocol: 'http', wide: ' ; ' },
  { what: 'a range', rule: '{ from: [{ source: { notRemoteIpBlocks: ["::/129"] } }] }', protocol: 'http', wide: ' ; ' },
  { what: 'a condition', rule: '{ when: [{ key: destination.ip, values: [x] }] }', protocol: 'http', wide: ' ; ' },
  {
    what: 'a header without a name',
    rule: '{ when: [{ key: request.headers, values: [x] }] }',
    protocol: 'http',
    wide: ' ; ',
  },
  {
    what: 'a claim without a name',
    rule: '{ when: [{ key: "request.auth.claims[", notValues: [x] }] }',
    protocol: 'http',
    wide: ' ; ',
  },
  ...['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'].map((field) => ({
    what: `${field} on TCP`,
    rule: `{ to: [{ operation: { ${field}: [/x], ports: ["80"] } }] }`,
    protocol: 'tcp' as const,
    wide: 'ports=80 ; ',
  })),
  ...['requestPrincipals', 'notRequestPrincipals'].map((field) => ({
    what: `${field} on TCP`,
    rule: `{ from: [{ source: { ${field}: [x], namespaces: [b] } }] }`,
    protocol: 'tcp' as const,
    wide: ' ; namespaces=b',
  })),
  ...[
    'request.headers[x]',
    'request.auth.principal',
    'request.auth.audiences',
    'request.auth.presenter',
    'request.auth.claims[x]',
  ].map((key) => ({
    what: `${key} on TCP`,
    rule: `{ when: [{ key: "${key}", values: [x] }] }`,
    protocol: 'tcp' as const,
    wide: ' ; ',
  })),
]

test('a value that cannot be expressed narrows an ALLOW and widens the rest', () => {
  for (const { what, rule, protocol, wide } of inexpressible) {
    for (const action of actions) {
      assert.equal(lowerRule(action, rule, protocol), action === 'ALLOW' ? null : wide, `${what}, ${action}`)
    }
  }
})

test('an unknown key drops the rule, whatever the action', () => {
  for (const key of [
    'nope',
    'source.serviceaccount',
    'REQUEST.headers[x]',
    'destination.labels[x]',
    'experimental.envoy.filters',
  ]) {
    for (const action of actions) {
      assert.equal(lowerRule(action, `{ when: [{ key: "${key}", values: [x] }] }`, 'http'), null, `${key}, ${action}`)
    }
  }
})

test('an ALLOW whose rules all fell away still denies what it does not list', () => {
  assert.deepEqual(
    lowerSpecs({ p: '{ rules: [{ to: [{ operation: { methods: [GET] } }] }] }' }, { protocol: 'tcp' }).allow,
    [],
  )
  assert.equal(lowerSpecs({ p: '{ action: DENY, rules: [{}] }' }).allow, null)
  assert.equal(lowerSpecs({ '!p': '{ rules: [{}] }' }).allow, null, 'a dry run alone denies nothing')
})

test('fields stand in the order of Istio, conditions in every alternative', () => {
  const text = `{ from: [{ source: { ipBlocks: ["1.2.3.4"], namespaces: [b], principals: [p], notPrincipals: [q] } }, {}],
    to: [{ operation: { ports: ["80"], paths: [/a], hosts: [h], methods: [GET] } }],
    when: [{ key: source.ip, values: ["::1"] }, { key: connection.sni, values: [s] }] }`
  assert.equal(
    lowerRule('ALLOW', text, 'http'),
    'hosts=h & methods=GET & paths=/a & ports=80 & connection.sni=s ; ' +
      'principals=p!q & namespaces=b & ipBlocks=1.2.3.4 & source.ip=::1 | source.ip=::1',
  )
})

const ids = (rules: Ruleset | null | undefined) => rules?.map(({ id }) => id)

test('rules are tested by id, byte by byte', () => {
  const eleven = `[${Array.from({ length: 11 }, () => '{}').join(', ')}]`
  const { deny } = lowerSpecs({ b: `{ action: DENY, rules: ${eleven} }`, 'bar/z': '{ action: DENY, rules: [{}] }' })
  assert.deepEqual(ids(deny)?.slice(0, 5), [
    'ns[bar]-policy[z]-rule[0]',
    'ns[foo]-policy[b]-rule[0]',
    'ns[foo]-policy[b]-rule[10]',
    'ns[foo]-policy[b]-rule[1]',
    'ns[foo]-policy[b]-rule[2]',
  ])
})

test('a policy without rules has one that never matches, `rules: [{}]` one that always does', () => {
  const [never] = lowerSpecs({ p: '{}' }).allow ?? []
  assert.deepEqual([never?.id, never?.permissions, never?.principals], ['ns[foo]-policy[p]-rule[0]', [], []])
  const [always] = lowerSpecs({ p: '{ rules: [{}] }' }).allow ?? []
  assert.deepEqual([always?.permissions, always?.principals], [[[]], [[]]])
})

test('CUSTOM policies by their providers', () => {
  const custom = (name: string, rules = '[{}]') => `{ action: CUSTOM, provider: { name: ${name} }, rules: ${rules} }`
  const rule = (name: string, end = '', policy = 'p') =>
    `istio-ext-authz-${name}-ns[foo]-policy[${policy}]-rule[0]${end}`
  const BAD = '-deny-due-to-bad-CUSTOM-action'
  const told = (specs: Record<string, string>, protocol: 'http' | 'tcp' = 'http') => {
    const { custom } = lowerSpecs(specs, { protocol })
    switch (custom.kind) {
      case 'none':
        return 'none'
      case 'ask':
        return { ask: custom.provider.name, rules: ids(custom.rules), refused: ids(custom.refused) }
      case 'refuse':
        return { refuse: custom.rulesets.map(ids) }
      default:
        return custom satisfies never
    }
  }
  assert.equal(told({ p: '{ rules: [{}] }' }), 'none')
  assert.deepEqual(told({ p: custom('grpc') }), { ask: 'grpc', rules: [rule('grpc')], refused: [] })
  assert.deepEqual(told({ p: custom('grpc') }, 'tcp'), { ask: 'grpc', rules: [rule('grpc')], refused: [] })
  assert.deepEqual(told({ p: custom('http') }), { ask: 'http', rules: [rule('http')], refused: [] })
  assert.equal(told({ p: custom('http') }, 'tcp'), 'none', 'nobody is asked about a connection')
  assert.deepEqual(told({ p: custom('absent') }), { refuse: [[rule('absent', BAD)]] })
  assert.deepEqual(told({ p: custom('absent') }, 'tcp'), { refuse: [[rule('absent', BAD)]] })
  assert.deepEqual(told({ p: custom('http'), q: custom('grpc') }), {
    refuse: [[rule('grpc', BAD, 'q')], [rule('http', BAD)]],
  })
  assert.deepEqual(told({ p: custom('http'), q: custom('grpc') }, 'tcp'), {
    refuse: [[rule('grpc', BAD, 'q')], [rule('http', BAD)]],
  })
  assert.deepEqual(told({ p: custom('grpc'), '!q': custom('grpc') }), {
    ask: 'grpc',
    rules: [rule('grpc')],
    refused: [rule('grpc', '', 'q')],
  })
  assert.deepEqual(told({ p: custom('grpc'), '!q': custom('http') }), { refuse: [[rule('grpc', BAD)], []] })
  assert.deepEqual(told({ p: '{ action: CUSTOM, rules: [{}] }' }), {
    refuse: [[`istio-ext-authz-ns[foo]-policy[p]-rule[0]${BAD}`]],
  })
})
