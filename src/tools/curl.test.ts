import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type CurlRequest, parseCurl } from './curl.ts'

function parsed(text: string): CurlRequest {
  const request = parseCurl(text)
  assert.ok(!('problem' in request), `${text}: ${'problem' in request ? request.problem : ''}`)
  return request
}

function header(request: CurlRequest, name: string): string | undefined {
  return request.headers.find(([one]) => one.toLowerCase() === name)?.[1]
}

test('a bare URL is a GET with the headers that curl sends', () => {
  assert.deepEqual(parsed('curl http://web.foo:8000/a?x=1#y'), {
    method: 'GET',
    path: '/a?x=1',
    host: 'web.foo:8000',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: [
      ['user-agent', 'curl/8'],
      ['accept', '*/*'],
    ],
    body: null,
  })
})

/** Command lines as people and browsers write them, with URL standing for the server's. */
const COMMANDS: readonly string[] = [
  'curl URL',
  'curl URL/a/../b/./c/',
  'curl --path-as-is URL/a/../b',
  'curl URL?x=1',
  'curl "URL/a?x=1&y=2#z"',
  "curl -X POST URL/data -d 'a=1' -d 'b=2'",
  'curl -XDELETE URL/x',
  "curl -sSfX PUT URL/x --data-raw '@literal'",
  'curl -kisSL URL/x',
  'curl -G URL/s -d q=1 --data-urlencode "name=a b&c/ü"',
  'curl URL/s?a=1 --get -d b=2',
  "curl URL/s --data-urlencode '=x y' --data-urlencode 'p q'",
  'curl URL -u user:pa:ss',
  'curl http://u%40x:p%3Aw@HOST/x',
  'curl --oauth2-bearer abc.def.ghi URL',
  "curl -b 'a=1; b=2' -b c=3 URL",
  `curl URL --json '{"a":"b c"}'`,
  `curl URL -X PATCH --json '{"a":' --json '1}'`,
  "curl URL -H 'Content-Type: application/json' -d '{\"a\": \"it'\\''s\"}'",
  `curl URL \\
    -H "X-A: one" \\
    -H 'x-b:two'`,
  "curl URL -H 'Host: other.example' -H 'User-Agent: me' -H 'Accept:' -H 'X-Empty;'",
  'curl -A "Mozilla/5.0 (X11)" -e http://ref/ -r 0-9 URL',
  "curl -A '' URL",
  'curl --compressed URL',
  "curl -F 'a=1' -F 'b=two;type=text/plain' --form-string 'c=@x' URL",
  'curl -I URL/x',
  'curl -d "" URL',
  "curl $'URL/x' -H $'x-q: it\\'s\\t\\x41\\u0042'",
  "curl --data-binary $'a\\nb' URL",
  "curl URL/ü -H 'x-u: ü'",
  'curl -o /dev/null -w "%{http_code}" -m 5 --connect-timeout 2 --retry 0 URL/x 2>/dev/null',
  'curl --url URL/x --no-keepalive -4',
  'curl -0 URL/x',
  'curl --request-target /other URL/x',
  "curl URL/x -H 'Transfer-Encoding: chunked' -d abc",
  'curl -g URL/x{a}[1]',
  'curl -- URL/x',
]

const hasCurl = spawnSync('curl', ['--version']).status === 0

test('what is read is what curl sends', { skip: hasCurl ? false : 'curl is not installed here' }, async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const command of COMMANDS) {
    const text = command.replaceAll('URL', `http://${host}`).replaceAll('HOST', host)
    const received = once(server, 'request')
    // The shell of the test reads what the parser reads.
    const child = spawn('bash', ['-c', text], { stdio: 'ignore', env: { ...process.env, HOME: '/nonexistent' } })
    const [request, response] = await received
    const sent = await asSent(request)
    response.end()
    await once(child, 'exit')
    assert.deepEqual(comparable(parsed(text)), comparable(sent), command)
  }
})

async function asSent(request: IncomingMessage): Promise<CurlRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const raw = request.rawHeaders
  const headers = raw.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, raw[i + 1] ?? '']] : []))
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    host: request.headers.host ?? '',
    scheme: 'http',
    protocol: request.httpVersion === '1.0' ? 'HTTP/1.0' : 'HTTP/1.1',
    headers: headers.filter(([name]) => name.toLowerCase() !== 'host'),
    body: Buffer.concat(chunks).toString('latin1'),
  }
}

/** Without the order of headers, and what depends on curl's version or on chance. */
function comparable(request: CurlRequest): object {
  const boundary = /boundary=(\S+)/.exec(header(request, 'content-type') ?? '')?.[1]
  const plain = (text: string) => (boundary === undefined ? text : text.replaceAll(boundary, 'BOUNDARY'))
  const ignored = boundary === undefined ? ['accept-encoding'] : ['accept-encoding', 'content-length']
  const lines = request.headers
    .map(([name, value]): [string, string] => [name.toLowerCase(), plain(value).replace(/^curl\/.*/, 'curl/8')])
    .filter(([name]) => !ignored.includes(name))
  // Escapes are upper-case in newer versions.
  const escapes = (text: string) => text.replace(/%[0-9a-f]{2}/gi, (code) => code.toUpperCase())
  const body = escapes(plain(request.body ?? ''))
  return { ...request, path: escapes(request.path), headers: lines.sort(), body }
}

test('HTTP/2 is what the options and the scheme lead to', () => {
  const protocol = (text: string) => parsed(text).protocol
  assert.equal(protocol('curl --http2 https://x/'), 'HTTP/2')
  assert.equal(protocol('curl --http2 http://x/'), 'HTTP/1.1')
  assert.equal(protocol('curl --http2-prior-knowledge http://x/'), 'HTTP/2')
  assert.equal(protocol('curl --http3 https://x/'), 'HTTP/3')
})

test('the words around a command are not of it', () => {
  for (const text of [
    'curl http://x/a | jq .',
    'curl http://x/a > out 2> err',
    'curl http://x/a 2>&1',
    '/usr/bin/curl http://x/a && echo',
  ]) {
    assert.equal(parsed(text).path, '/a', text)
  }
  assert.equal(parsed('http://x/a').path, '/a')
  // An unquoted & in a URL is rather a forgotten quote than a command in the background.
  assert.equal(parsed('curl http://x/a?b=1&c=2').path, '/a?b=1&c=2')
})

test('an IPv6 address is no range, and the default port is left out', () => {
  assert.equal(parsed('curl http://[::1]:8080/').host, '[::1]:8080')
  assert.equal(parsed('curl http://x:80/').host, 'x')
  assert.equal(parsed('curl https://x:443/').host, 'x')
  assert.equal(parsed('curl x.example/a').scheme, 'http')
})

test('what cannot be read says why', () => {
  const problems: readonly (readonly [string, RegExp])[] = [
    ["curl 'http://x", /quote is not closed/],
    ['curl "http://x', /quote is not closed/],
    ["curl $'http://x", /quote is not closed/],
    ['curl', /no URL/],
    ['', /no URL/],
    ['curl http://x http://y', /two URLs/],
    ['curl --next http://x', /several requests/],
    ['curl http://x/{a,b}', /several requests/],
    ['curl http://x/[1-3]', /several requests/],
    ["curl 'http://x/a b'", /space/],
    ['curl ftp://x/', /`ftp` is not HTTP/],
    ['curl -d @file http://x', /not read/],
    ['curl -F a=@file http://x', /not read/],
    ['curl -T file http://x', /not read/],
    ['curl -K file http://x', /not read/],
    ['curl -b jar.txt http://x', /not read/],
    ['curl -H @file http://x', /not read/],
    ['curl --data-urlencode a@file http://x', /not read/],
    ['curl http://x -H', /`-H` needs a value/],
    ['curl http://x -H nonsense', /no `NAME: VALUE`/],
    ['curl --requets GET http://x', /`--requets` is not understood; did you mean `--request`/],
    ['curl -sSQ http://x', /`-Q` is not understood/],
    ['curl http://x -H "Authorization: Bearer $TOKEN"', /`\$TOKEN` stands for/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a shell's
    ['curl http://${HOST}/', /stands for what only your shell knows/],
    ['curl http://$(hostname)/', /stands for what only your shell knows/],
  ]
  for (const [text, expected] of problems) {
    const result = parseCurl(text)
    assert.ok('problem' in result, text)
    assert.match(result.problem, expected, text)
  }
})
