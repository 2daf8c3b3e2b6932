import type { AuthorizationPolicy, Rule } from '#src/mesh/authorization-policy.ts'
import type { Claims, Facts } from '#src/policy/facts.ts'
import { any, not, policiesWith, rule, times } from './build.ts'
import { type Asked, type AskedHttp, factsOf } from './requests.ts'

/** Policies of one sort that stay the same, and a request that becomes longer as `size` does. */
export interface Family {
  readonly policies: readonly AuthorizationPolicy[]
  readonly facts: (size: number) => Facts
}

const plain: AskedHttp = {
  method: 'GET',
  path: '/',
  host: 'h',
  scheme: 'http',
  remoteIp: '203.0.113.9',
  headers: [],
  claims: null,
}

const connection: Asked = {
  peer: 'spiffe://td1/ns/a/sa/s',
  sourceIp: '203.0.113.9',
  destinationIp: '2001:db8::1',
  port: 40_000,
  sni: 'h',
  metadata: null,
  http: null,
}

function request(http: Partial<AskedHttp>, others: Partial<Asked> = {}): Facts {
  return factsOf({ ...connection, ...others, http: { ...plain, ...http } })
}

function family(rules: readonly Rule[], facts: Family['facts']): Family {
  return { policies: policiesWith(rules), facts }
}

/** Every rule has a condition that fails last and gives no anchor, so that nothing ends a search early. */
const last = { 'request.headers[:scheme]': not('http') }

const lines = (size: number, name: (i: number) => string, value: (i: number) => string) =>
  times(size, (i) => [name(i), value(i)] as const)

const words = times(40, (i) => `w${i}`)

function nested(depth: number): Claims {
  let value: Claims = { d: 'v' }
  for (let i = 0; i < depth; i++) value = { d: value, other: 'v' }
  return value
}

export const families: Readonly<Record<string, Family>> = {
  'paths, by prefixes and suffixes of each other': family(
    [
      ...times(40, (i) => rule({ to: { paths: any(`/${'a'.repeat(i)}*`, `*${'a'.repeat(i)}/b`) }, when: last })),
      ...times(40, (i) => rule({ to: { paths: not(`/${'a'.repeat(i)}b*`, `*b${'a'.repeat(i)}`) }, when: last })),
    ],
    (size) => request({ path: `/${'a'.repeat(size)}` }),
  ),
  'paths of many segments, by templates': family(
    [
      ...times(20, (i) => rule({ to: { paths: any(`/{*}/${'a/'.repeat(i)}{**}/b`) }, when: last })),
      ...times(20, (i) =>
        rule({ to: { paths: any(`/${'{*}/'.repeat(i + 1)}a`, `/{**}${'/a'.repeat(i + 1)}`) }, when: last }),
      ),
      rule({ to: { paths: any(`/${'{*}/'.repeat(5000)}{**}`, `/${'a/'.repeat(5000)}{**}/b`) }, when: last }),
      rule({ to: { paths: not('/{**}/b', '/{*}/{**}/c') }, when: last }),
    ],
    (size) => request({ path: '/a'.repeat(size) }),
  ),
  'a query': family(
    times(20, (i) =>
      rule({ when: { 'request.headers[:path]': any(`/a?${'x'.repeat(i)}*`, `*${'x'.repeat(i)}y`), ...last } }),
    ),
    (size) => request({ path: `/a?${'x'.repeat(size)}` }),
  ),
  'lines of one header': family(
    [
      ...words.map((word) => rule({ when: { 'request.headers[x-a]': any(word, `${word}*`, `*${word}`), ...last } })),
      ...words.map(() => rule({ when: { 'request.headers[x-a]': any('w1', 'w2'), ...last } })),
      // Found by the one, told apart by the others.
      ...times(10, (i) =>
        words
          .slice(0, 6)
          .map((word) =>
            rule({ when: { 'request.headers[x-a]': any(`v${i}`), [`request.headers[x-${word}]`]: any('v'), ...last } }),
          ),
      ).flat(),
      rule({ when: { 'request.headers[x-a]': not(...words), ...last } }),
    ],
    (size) =>
      request({
        headers: lines(
          size,
          () => 'x-a',
          (i) => `${i % 3 === 0 ? 'v' : 'w'}${i % 50}`,
        ),
      }),
  ),
  'lines of many headers': family(
    times(60, (i) =>
      rule({ when: { [`request.headers[x-${i}]`]: any('v'), 'request.headers[x-a]': any('v'), ...last } }),
    ),
    (size) =>
      request({
        headers: lines(
          size,
          (i) => `x-${i}`,
          () => 'v',
        ),
      }),
  ),
  'lines that count as one value': family(
    [
      ...words.map((word) => rule({ when: { 'request.headers[accept]': any(`${word}*`, `*${word}`), ...last } })),
      rule({ when: { 'request.headers[via]': any('v*'), 'request.headers[accept]': not('x*'), ...last } }),
    ],
    (size) =>
      request({
        headers: [
          ...lines(
            size,
            (i) => `x-${i}`,
            () => 'v',
          ),
          ...lines(
            size,
            (i) => (i % 2 ? 'accept' : 'via'),
            () => 'w1',
          ),
        ],
      }),
  ),
  'the value of a header': family(
    times(40, (i) =>
      rule({ when: { 'request.headers[x-a]': any(`${'v'.repeat(i)}*`, `*${'v'.repeat(i)}w`, '*'), ...last } }),
    ),
    (size) => request({ headers: [['x-a', 'v'.repeat(size)]] }),
  ),
  'a claim that is a long list': family(
    [
      ...words.map((word) => rule({ when: { 'request.auth.claims[c]': any(word, `${word}*`), ...last } })),
      ...words.map(() => rule({ when: { 'request.auth.claims[c]': any('w1'), ...last } })),
      rule({ when: { 'request.auth.claims[c]': not('x', 'y*'), ...last } }),
    ],
    (size) => request({ claims: { c: times(size, (i) => `w${i % 50}`) } }),
  ),
  'many claims': family(
    times(60, (i) => rule({ when: { [`request.auth.claims[c${i}]`]: any('v'), ...last } })),
    (size) => request({ claims: Object.fromEntries(times(size, (i) => [`c${i}`, 'v'])) }),
  ),
  'claims inside claims': family(
    times(60, (i) => rule({ when: { [`request.auth.claims${'[d]'.repeat(i + 1)}`]: any('v'), ...last } })),
    (size) => request({ claims: nested(Math.min(size, 5000)) }),
  ),
  'an issuer and a subject': family(
    times(40, (i) =>
      rule({
        from: { requestPrincipals: any(`${'i'.repeat(i)}*`, `*${'s'.repeat(i)}t`, `*/${'s'.repeat(i)}`) },
        when: last,
      }),
    ),
    (size) => request({ claims: { iss: 'i'.repeat(size), sub: 's'.repeat(size) } }),
  ),
  'metadata of a filter': family(
    times(40, (i) =>
      rule({ when: { 'experimental.envoy.filters.http.f[k]': any(`[w${i}]`, '[w1]', `[*${i}]`), ...last } }),
    ),
    (size) => request({}, { metadata: { k: times(size, (i) => `w${i % 50}`) } }),
  ),
  'a peer of many segments': family(
    [
      ...words.map((word) =>
        rule({ from: { namespaces: any(word, `${word}*`, `*${word}`, `a*${word}`) }, when: last }),
      ),
      ...words.map((word) => rule({ from: { serviceAccounts: any(`a/${word}`, `${word}/s`) }, when: last })),
      ...words.map((word) =>
        rule({ from: { principals: any(`*/${word}`, `td1/ns/${word}*`), namespaces: not(word) }, when: last }),
      ),
      rule({ from: { trustDomains: any('td*x', '*1') }, when: last }),
    ],
    (size) => request({}, { peer: `spiffe://td1${'/ns/a/sa/s/ns/w1/sa/w2'.repeat(size)}` }),
  ),
  'a host': family(
    times(40, (i) =>
      rule({
        to: { hosts: any(`${'h'.repeat(i)}*`, `*${'h'.repeat(i)}x`) },
        when: { 'request.headers[host]': any(`${'h'.repeat(i)}*`), ...last },
      }),
    ),
    (size) => request({ host: 'h'.repeat(size) }),
  ),
  'a server name': family(
    times(40, (i) => rule({ when: { 'connection.sni': any(`${'h'.repeat(i)}*`, `*${'h'.repeat(i)}x`), ...last } })),
    (size) => request({}, { sni: 'h'.repeat(size) }),
  ),
  'a method': family(
    times(40, (i) => rule({ to: { methods: any(`${'G'.repeat(i)}*`, `*${'G'.repeat(i)}x`) }, when: last })),
    (size) => request({ method: 'G'.repeat(size) }),
  ),
}
