/** Files that somebody wrote to hurt, by name, with the codes that they must end in; none: they end in a decision. */
export interface HostileFile {
  readonly name: string
  readonly codes: readonly string[]
  readonly text: () => string
}

const MEGABYTE = 1024 * 1024

function policy(spec: string, name = 'p'): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: foo }\nspec:\n${spec}\n---\n`
}

function source(field: string): string {
  return policy(`  rules: [{ from: [{ source: { ${field} } }] }]`)
}

function operation(field: string): string {
  return policy(`  rules: [{ to: [{ operation: { ${field} } }] }]`)
}

function condition(key: string): string {
  return policy(`  rules: [{ when: [{ key: "${key}", values: [a] }] }]`)
}

function jwtRule(fields: string): string {
  return policy(`  jwtRules: [{ issuer: i, ${fields} }]`).replace('AuthorizationPolicy', 'RequestAuthentication')
}

function many(count: number, text: (index: number) => string, between = ''): string {
  return Array.from({ length: count }, (_, index) => text(index)).join(between)
}

function pod(name: string): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: foo, labels: { app: ${name} } }\n---\n`
}

const file = (name: string, codes: readonly string[], text: () => string): HostileFile => ({ name, codes, text })

/** A value of a megabyte in each place that holds text. */
const long = (name: string, codes: readonly string[], text: (word: string) => string, unit = 'a'): HostileFile =>
  file(`a megabyte of ${JSON.stringify(unit)} in ${name}`, codes, () => text(unit.repeat(MEGABYTE / unit.length)))

export const hostileFiles: readonly HostileFile[] = [
  file('nested lists', ['SP003'], () => policy(`  rules: ${'['.repeat(100_000)}`)),
  file('nested mappings', ['SP003'], () => '{"a":'.repeat(100_000)),
  file('nested dashes', ['SP003'], () => policy(`  rules:\n  ${'- '.repeat(100_000)}`)),
  file(
    'aliases that explode',
    ['SP003'],
    () => `a0: &a0 [x, x, x, x]\n${many(40, (i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]\n`)}`,
  ),
  file(
    'merge keys that explode',
    ['SP003'],
    () => `a0: &a0 { k: 1 }\n${many(3000, (i) => `a${i + 1}: &a${i + 1} { <<: *a${i}, k${i}: 1 }\n`)}`,
  ),
  file('100,000 documents', ['SP101'], () => many(100_000, () => '---\na: 1\n')),
  file('5,000 policies of one name', ['SP109'], () => many(5000, (i) => operation(`ports: ["${i}"]`))),
  file('control characters', ['SP002'], () => operation('paths: ["/\x00\x01"]')),
  file('control characters that are escaped', [], () => operation('paths: ["/\\x00\\e\\x7f\\u2028"]')),
  file('lone surrogates', [], () => operation('paths: ["/\\ud800", "/\\udc00\\ud800"]')),
  file('a lone surrogate in a name', ['SP106'], () => policy('  {}', '"a\\ud800"')),
  file('a template of 10,000 operators', [], () => operation(`paths: ["${'/{*}'.repeat(10_000)}/{**}"]`)),
  file('a template of 10,000 wrong operators', ['SP213'], () => operation(`paths: ["${'/{**}'.repeat(10_000)}"]`)),
  file('10,000 rules', ['SP217'], () =>
    policy(`  rules:\n${many(10_000, () => '  - to: [{ operation: { paths: [/a] } }]\n')}`),
  ),
  file('100,000 values', [], () => operation(`paths: [${many(100_000, (i) => `/a${i}`, ', ')}]`)),
  file('20,000 wrong values', ['SP211'], () => source(`ipBlocks: [${many(20_000, (i) => `x${i}`, ', ')}]`)),
  file('20,000 labels in a selector', ['SP217', 'SP302'], () =>
    policy(`  selector:\n    matchLabels:\n${many(20_000, (i) => `      l${i}: v\n`)}`),
  ),
  file('20,000 unknown fields', ['SP103'], () => policy(many(20_000, (i) => `  ruls${i}: v\n`))),
  file('2,000 selectors of no workload among 2,000', ['SP302'], () => {
    const policies = many(2000, (i) => policy(`  selector: { matchLabels: { app: aa${i} } }`, `p${i}`))
    return many(2000, (i) => pod(`a${i}`)) + policies
  }),
  long('a path', [], (word) => operation(`paths: ["/${word}"]`)),
  long('a path', [], (word) => operation(`paths: ["${word}x"]`), '/'),
  long('a path', ['SP404'], (word) => operation(`paths: ["${word}"]`), '*'),
  long('a host', ['SP404'], (word) => operation(`hosts: ["${word}"]`), '*'),
  long('a port', ['SP212'], (word) => operation(`ports: ["${word}"]`), '9'),
  ...['%', ':', '1.', '::1%'].map((unit) =>
    long('an IP address', ['SP211'], (word) => source(`ipBlocks: ["${word}/"]`), unit),
  ),
  ...['%', ':', '1.'].map((unit) => long('an IP address', ['SP211'], (word) => source(`ipBlocks: ["${word}"]`), unit)),
  long('a namespace', [], (word) => source(`namespaces: ["${word}"]`), '*a'),
  long('a trust domain', ['SP210'], (word) => source(`trustDomains: ["${word}"]`), '*'),
  long('a service account', ['SP209'], (word) => source(`serviceAccounts: ["${word}"]`)),
  long('a principal', [], (word) => source(`principals: ["${word}"]`), '/'),
  long('a condition', ['SP214'], (word) => condition(`request.headers${word}x`), '].'),
  long('a condition', ['SP403'], (word) => condition(`request.auth.claims${word}`), '[a]'),
  file('200,000 brackets in a value', [], () =>
    condition('experimental.envoy.filters.a[b]').replace('values: [a]', `values: ["[a${']'.repeat(200_000)}a]"]`),
  ),
  long('an action', ['SP106'], (word) => policy(`  action: ${word}`)),
  long('a kind', ['SP102'], (word) => `apiVersion: security.istio.io/v1\nkind: ${word}\nmetadata: { name: a }\n---\n`),
  long('an API version', ['SP107'], (word) => policy('  {}').replace('security.istio.io/v1', word), '/'),
  long('a name', ['SP106'], (word) => policy('  {}', `"${word}"`), ' a'),
  long('a label', ['SP202', 'SP302'], (word) => policy(`  selector: { matchLabels: { app: ${word} } }`)),
  long('a provider', ['SP301'], (word) => policy(`  action: CUSTOM\n  provider: { name: ${word} }\n  rules: [{}]`)),
  long('an address of keys', ['SP221'], (word) => jwtRule(`jwksUri: "https://${word}"`), '%41'),
  long('an address of keys', ['SP221', 'SP254'], (word) => jwtRule(`jwksUri: "https://${word}"`), '@'),
  long('keys', ['SP221'], (word) => jwtRule(`jwks: '${word}'`), '{"a":'),
  long('a time', ['SP106'], (word) => jwtRule(`timeout: "${word}"`), '1h'),
]
