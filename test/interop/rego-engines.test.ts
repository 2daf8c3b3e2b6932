import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { loadEngine } from '#src/extauthz/engines/engine.ts'
import type { Checks } from '#src/extauthz/server/judge.ts'
import { type Attributes, requestFrom } from '#src/extauthz/server/request.ts'
import type { Logger } from '#src/observe/log.ts'
import { freePorts } from '../scenarios/stage.ts'
import { secretToken } from '../scenarios/token.ts'
import { type RunningOpa, startOpa } from './opa-server.ts'
import { peer } from './peers.ts'
import { opaRunner } from './rego-comparison.ts'

const found = peer('opa')
const opa = 'path' in found ? found.path : ''
const skip = 'skip' in found ? found.skip : false

/** In the manner of policies for OPA's plug-in: it reads every part of the input, and answers in every way. */
const policy = `package envoy.authz

import rego.v1
import input.attributes.request.http as http

default allow := {"allowed": false, "http_status": 403, "body": "no rule"}

allow := true if http.method == "OPTIONS"

allow := {"allowed": true, "headers": {"x-team": data.teams[input.parsed_path[1]]}} if {
	http.method == "GET"
	input.parsed_path[0] == "teams"
}

allow := {"allowed": true, "headers": {"x-sub": claims.sub, "x-roles": concat(",", sort(claims.roles))}} if {
	http.method == "GET"
	input.parsed_path[0] != "teams"
	"reader" in claims.roles
}

allow := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": concat("", ["/login?from=", urlquery.encode(http.path)]), "set-cookie": ["a=1", "b=2"]},
} if {
	http.method == "GET"
	input.parsed_path[0] != "teams"
	not http.headers.authorization
}

allow := {"allowed": false, "http_status": 400, "body": sprintf("%v", [violations])} if {
	http.method == "POST"
	count(violations) > 0
}

allow := {"allowed": true, "response_headers_to_add": {"x-sum": sprintf("%v", [sum(input.parsed_body.numbers)])}} if {
	http.method == "POST"
	count(violations) == 0
}

violations contains "no body" if not input.parsed_body
violations contains "truncated" if input.truncated_body
violations contains sprintf("%d: %v is too large", [i, n]) if {
	some i, n in input.parsed_body.numbers
	n > data.limit
}
violations contains "not from here" if not net.cidr_contains("10.0.0.0/8", input.attributes.source.address.socketAddress.address)
violations contains concat(" ", ["unknown", name]) if {
	some name, _ in input.parsed_query
	not regex.match("^[a-z]{1,3}$", name)
}

allow := {"allow": true} if http.method == "PUT"

allow := "yes" if http.method == "DELETE"

allow := false if http.method == "HEAD"

claims := payload if {
	[scheme, token] := split(http.headers.authorization, " ")
	lower(scheme) == "bearer"
	[valid, _, payload] := io.jwt.decode_verify(token, {"secret": "secret", "iss": "me"})
	valid
}
`

const data = { teams: { a: 'alpha', b: 'beta' }, limit: 100 }
const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
let server: RunningOpa | undefined
let ours: Checks
let theirs: Checks

before(async () => {
  if (skip !== false) return
  writeFileSync(join(folder, 'policy.rego'), policy)
  writeFileSync(join(folder, 'data.json'), JSON.stringify(data))
  const { port } = await freePorts('port')
  server = await startOpa(opa, port, join(folder, 'policy.rego'), join(folder, 'data.json'))
  const options = { logger: silent, runOpa: opaRunner(opa) }
  const query = 'data.envoy.authz.allow'
  const rego = await loadEngine({ kind: 'rego', path: folder, query }, options)
  const rest = await loadEngine({ kind: 'opa', url: server.url, query, ca: null, token: null }, options)
  assert.ok(rego.kind === 'loaded' && rest.kind === 'loaded', JSON.stringify([rego, rest]))
  ours = rego.checks
  theirs = rest.checks
})
after(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const now = Math.floor(Date.now() / 1000)
const token = fc
  .record({
    sub: fc.constantFrom('ann', 'é', ''),
    iss: fc.constantFrom('me', 'you'),
    exp: fc.constantFrom(now + 1000, now - 1000),
    roles: fc.subarray(['reader', 'writer', 'a'], { minLength: 0 }),
  })
  .map((claims) => secretToken(claims as never, 'secret'))

const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'PUT', 'DELETE', 'HEAD', 'PATCH'),
  path: fc.oneof(
    fc.constantFrom(
      '/',
      '/teams/a',
      '/teams/b?x=1',
      '/teams/c',
      '/teams',
      '//teams/a',
      '/%74eams/a',
      '/x?long_name=1',
      '/%',
      '/a?b=c&d',
    ),
    fc.webPath().map((path) => `/${path}`),
  ),
  authorization: fc.option(
    fc.oneof(
      token.map((text) => `Bearer ${text}`),
      token.map((text) => `bearer ${text}x`),
      fc.string(),
    ),
    { nil: undefined },
  ),
  ip: fc.constantFrom('10.1.2.3', '192.168.0.1', '::1', ''),
  body: fc.option(
    fc.oneof(
      fc
        .array(
          fc.oneof(
            fc.integer({ min: -200, max: 200 }),
            fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
          ),
        )
        .map((numbers) => JSON.stringify({ numbers })),
      fc.json(),
      fc.string(),
    ),
    { nil: undefined },
  ),
  partial: fc.boolean(),
})

type Drawn = typeof requests extends fc.Arbitrary<infer T> ? T : never

function request({ method, path, authorization, ip, body, partial }: Drawn) {
  const headers: Record<string, string> = { ':path': path, ':method': method }
  if (authorization !== undefined) headers.authorization = authorization
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (body !== undefined && partial) headers['x-envoy-auth-partial-body'] = 'true'
  const attributes: Attributes = {
    source: { address: { socketAddress: { address: ip, portValue: 1 } } },
    request: { http: { method, path, headers, ...(body === undefined ? {} : { body }) } },
  }
  const nobody = { ip, port: 1, principal: '' }
  return requestFrom({
    method,
    path,
    host: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    lines: Object.entries(headers),
    body: Buffer.from(body ?? ''),
    source: nobody,
    destination: nobody,
    contextExtensions: {},
    time: 0,
    signal: new AbortController().signal,
    attributes: () => attributes,
  })
}

test('a policy answers the same here and in a server of OPA, whatever is asked', { skip }, async () => {
  const kinds = new Set<string>()
  await fc.assert(
    fc.asyncProperty(requests, async (drawn) => {
      const [our, their] = await Promise.all([ours.check(request(drawn)), theirs.check(request(drawn))])
      kinds.add('status' in our ? `${our.kind} ${our.status}` : our.kind)
      assert.deepEqual(our, their)
    }),
    { numRuns: 1500 },
  )
  assert.deepEqual([...kinds].sort(), ['allow', 'deny 302', 'deny 400', 'deny 403', 'error 503'])
})
