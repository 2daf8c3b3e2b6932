// The octets of one check, framed as gRPC frames them: the same for every server.

import { createHmac } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { CheckRequestSchema } from '../../dist/proto/gen/envoy/service/auth/v3/external_auth_pb.js'

/** Headers as Envoy sends them of a browser's request. */
const headers = {
  ':authority': 'shop.example.com',
  ':method': 'GET',
  ':path': '/api/v1/items?limit=10',
  ':scheme': 'https',
  accept: 'application/json',
  'accept-encoding': 'gzip, deflate, br',
  'accept-language': 'en-US,en;q=0.9',
  cookie: 'theme=dark; locale=en; cart=0123456789abcdef',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-request-id': '6f1c2a34-1d0e-4c77-9d8b-0f5c1f0f2b11',
}

/** What the header rule asks for. */
export const ruled = { ...headers, 'x-decide': 'allow' }

/** What the policy of examples/opa asks for: a token that names a prefix of the path. */
export function tokened(secret, now) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const path = Buffer.from('/api/v1/').toString('base64url')
  const content = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ path, sub: 'bench', nbf: now - 3600, exp: now + 86_400 })}`
  const signature = createHmac('sha256', secret).update(content).digest('base64url')
  return { ...headers, authorization: `Bearer ${content}.${signature}` }
}

export function check(fields) {
  const peer = (address, port, principal) => ({
    address: {
      address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
    },
    principal,
  })
  const message = toBinary(
    CheckRequestSchema,
    create(CheckRequestSchema, {
      attributes: {
        source: peer('10.1.2.3', 45_678, 'spiffe://cluster.local/ns/web/sa/front'),
        destination: peer('10.1.2.4', 8080, 'spiffe://cluster.local/ns/shop/sa/items'),
        request: {
          time: { seconds: 1_760_000_000n, nanos: 123_000_000 },
          http: {
            ...{ id: '1234567890123456789', method: 'GET', path: fields[':path'], host: fields[':authority'] },
            ...{ scheme: 'https', protocol: 'HTTP/1.1', headers: fields },
          },
        },
        metadataContext: {},
        routeMetadataContext: {},
      },
    }),
  )
  const framed = Buffer.alloc(5 + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, 5)
  return framed
}
