import fc from 'fast-check'
import { asBytes } from '#src/match/bytes.ts'
import { HeaderMap } from '#src/match/header-map.ts'
import { parseIp } from '#src/match/ip.ts'
import { type Claims, Facts } from '#src/policy/facts.ts'

/** A request, or (without `http`) a connection, as a person would write it down. */
export interface Asked {
  readonly peer: string
  readonly sourceIp: string
  readonly destinationIp: string
  readonly port: number
  readonly sni: string
  readonly http: AskedHttp | null
  /** Of the filter `envoy.filters.http.f`, by key. */
  readonly metadata: Claims | null
}

export interface AskedHttp {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly remoteIp: string
  readonly headers: readonly (readonly [string, string])[]
  readonly claims: Claims | null
}

export const FILTER = 'envoy.filters.http.f'

export function factsOf(asked: Asked): Facts {
  const connection = {
    peer: asked.peer,
    sourceIp: ip(asked.sourceIp),
    destinationIp: ip(asked.destinationIp),
    destinationPort: asked.port,
    sni: asked.sni,
  }
  const facts = asked.http === null ? Facts.ofConnection(connection) : factsOfHttp(connection, asked.http)
  facts.metadata = asked.metadata === null ? null : { [FILTER]: asked.metadata }
  return facts
}

function factsOfHttp(connection: Parameters<typeof Facts.ofConnection>[0], http: AskedHttp): Facts {
  const headers = HeaderMap.from(http.headers.map(([name, value]) => [name, asBytes(value)]))
  const path = asBytes(http.path)
  const { method, host, scheme } = http
  const facts = Facts.ofRequest(connection, { method, path, host, scheme, headers, remoteIp: ip(http.remoteIp) })
  facts.authenticated(path, http.claims)
  return facts
}

function ip(text: string) {
  const parsed = parseIp(text)
  if (parsed === null) throw new Error(`no address: ${text}`)
  return parsed
}

const address = fc.constantFrom('127.0.0.1', '10.1.2.3', '11.0.0.1', '::1', '2001:db8::1', '2001:db8:8000::1')
const claim = fc.constantFrom<Claims[string]>(
  'v',
  'vw',
  'w',
  'v,w',
  'é',
  '',
  'v\nv',
  ['v', 'w'],
  ['x', 'vx', ''],
  [],
  [1, 'x', null],
  1,
  true,
  null,
  { d: 'v' },
  { d: ['x', 'v'], e: 1 },
  { d: { d: 'v' } },
)

const peers = [
  '',
  'spiffe://cluster.local/ns/a/sa/s',
  'spiffe://td1/ns/a/sa/s',
  'spiffe://td2/ns/ab/sa/t',
  'spiffe://cluster.local/ns/a/b/sa/s.v1/x',
  'spiffe://td1/workload/x',
  'spiffe://old/ns/b/sa/t',
  'spiffe://td1/ns/b/ns/a/sa/s',
]

const connection = {
  peer: fc.constantFrom(...peers),
  sourceIp: address,
  destinationIp: address,
  port: fc.constantFrom(80, 8080, 0, 65535, 443),
  sni: fc.constantFrom('', 'e.com', 'a.e.com', 'f.com'),
}

const claims: fc.Arbitrary<Claims | null> = fc.option(
  fc.record(
    {
      iss: fc.constantFrom<Claims[string]>('https://idp', 'i', 'x', '', 1),
      sub: fc.constantFrom<Claims[string]>('u', 'v', '', null),
      aud: claim,
      azp: claim,
      c: claim,
      '[c]': claim,
      constructor: claim,
    },
    { requiredKeys: [] },
  ),
  { nil: null },
)

const metadata = fc.option(claim, { nil: null }).map((k): Claims | null => (k === null ? null : { k }))

const http: fc.Arbitrary<AskedHttp> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'get', 'PUT'),
  path: fc.constantFrom(
    '/',
    '/a',
    '/a/b',
    '/a/',
    '/a?x=1',
    '/x/b',
    '/a//b',
    '/a[/b',
    '/a/x/c/d',
    '/a/x/c/y/z/d',
    '*',
    '/é',
  ),
  host: fc.constantFrom('e.com', 'E.COM', 'a.e.com', 'e.com:80', '', 'f'),
  scheme: fc.constantFrom('http', 'https'),
  remoteIp: address,
  headers: fc.array(fc.tuple(fc.constantFrom('x-a', 'accept', 'b'), fc.constantFrom('v', 'w', '', 'v,w', 'é')), {
    maxLength: 4,
  }),
  claims,
})

export const requests: fc.Arbitrary<Asked> = fc.record({ ...connection, metadata, http })
export const connections: fc.Arbitrary<Asked> = fc.record({ ...connection, metadata, http: fc.constant(null) })
