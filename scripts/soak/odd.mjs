const head = (...lines) => `${lines.join('\r\n')}\r\n\r\n`
const host = 'host: soak'

/** Odd bytes for the workload `pool`, each with the statuses that are right; `closed`: the connection without an answer. */
export const ODD = [
  { name: 'two Host lines', bytes: head('GET /open/1 HTTP/1.1', host, 'host: other'), statuses: [400] },
  { name: 'no Host line', bytes: head('GET /open/1 HTTP/1.1'), statuses: [400] },
  { name: 'a bare CR in a value', bytes: head('GET /open/1 HTTP/1.1', host, 'x: a\rb'), statuses: [400] },
  { name: 'a folded header', bytes: head('GET /open/1 HTTP/1.1', host, 'x: a', ' b'), statuses: [400] },
  { name: 'a name with a blank', bytes: head('GET /open/1 HTTP/1.1', host, 'x y: a'), statuses: [400] },
  {
    name: 'two lengths',
    bytes: `${head('POST /open/1 HTTP/1.1', host, 'content-length: 1', 'content-length: 2')}ab`,
    statuses: [400],
  },
  {
    name: 'a length and chunks',
    bytes: `${head('POST /open/1 HTTP/1.1', host, 'content-length: 5', 'transfer-encoding: chunked')}0\r\n\r\n`,
    statuses: [400],
  },
  {
    name: 'a request within a body',
    bytes: `${head('POST /forbidden/1 HTTP/1.1', host, 'content-length: 40')}${'GET /open/1 HTTP/1.1\r\n\r\n'.padEnd(40)}`,
    statuses: [403],
  },
  {
    name: 'a chunk that is no number',
    bytes: `${head('POST /open/1 HTTP/1.1', host, 'transfer-encoding: chunked')}zz\r\n`,
    statuses: [400],
  },
  { name: 'CONNECT', bytes: head('CONNECT soak:80 HTTP/1.1', host), statuses: [404] },
  { name: 'HTTP/1.0', bytes: head('GET /forbidden/1 HTTP/1.0', host), statuses: [403, 426] },
  { name: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [400, 'closed'] },
  { name: 'a TLS greeting', bytes: '\x16\x03\x01\x00\x05hello\r\n\r\n', statuses: [400, 'closed'] },
  { name: 'a head of 70 KB', bytes: head('GET /open/1 HTTP/1.1', host, `x: ${'a'.repeat(70_000)}`), statuses: [431] },
  { name: 'a way out of a path', bytes: head('GET /open/../forbidden/1 HTTP/1.1', host), statuses: [403] },
  { name: 'an escaped way out', bytes: head('GET /open/%2e%2e/forbidden/1 HTTP/1.1', host), statuses: [403] },
  { name: 'an unknown method', bytes: head('BREW /forbidden/1 HTTP/1.1', host), statuses: [400, 403] },
  {
    name: 'a proxy header of its own',
    bytes: head('GET /forbidden/1 HTTP/1.1', host, 'x-envoy-original-path: /open/1', 'x-forwarded-for: 127.0.0.1'),
    statuses: [403],
  },
]
