import { Buffer } from 'node:buffer'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, toBinary } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { AttributeContext_PeerSchema } from '../proto/gen/envoy/service/auth/v3/attribute_context_pb.js'
import { CheckRequestSchema } from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckBody, CheckHttpRequest, CheckPeer, CheckRequest } from './check.ts'
import { repairUtf8 } from './header-syntax.ts'

type PeerInit = MessageInitShape<typeof AttributeContext_PeerSchema>

/** Says whether the body that goes along is cut short. A client's own header of this name is never passed on. */
export const partialBodyHeader = 'x-envoy-auth-partial-body'

/**
 * The bytes of an `envoy.service.auth.v3.CheckRequest`. With `packAsBytes` a body goes as `raw_body`, else as text in
 * `body`, with `!` for bytes that are no UTF-8.
 */
export function encodeCheckRequest(request: CheckRequest, options: { readonly packAsBytes: boolean }): Uint8Array {
  const message = create(CheckRequestSchema, {
    attributes: {
      source: peer(request.source),
      destination: peer(request.destination),
      ...(request.http === null ? {} : { request: httpAttributes(request.time, request.http, options.packAsBytes) }),
      // Envoy sends both, even when they hold nothing.
      metadataContext: {},
      ...(request.http === null ? {} : { routeMetadataContext: {} }),
    },
  })
  return toBinary(CheckRequestSchema, message)
}

/**
 * The source's `service` stays unset: Envoy fills it from `x-envoy-downstream-service-cluster`, which any client can send,
 * and an authorizer could take it for an identity.
 */
function peer({ ip, port, principal, service = '' }: CheckPeer): PeerInit {
  const portSpecifier = { case: 'portValue', value: port } as const
  return { address: { address: { case: 'socketAddress', value: { address: ip, portSpecifier } } }, principal, service }
}

function httpAttributes(time: number, http: CheckHttpRequest, packAsBytes: boolean) {
  const body = http.body === null ? {} : packAsBytes ? { rawBody: http.body.bytes } : { body: bodyText(http.body) }
  return {
    time: timestampFromMs(time),
    http: {
      id: http.id,
      method: repairUtf8(http.method),
      headers: headerAttributes(http),
      path: repairUtf8(http.path),
      host: repairUtf8(http.host),
      scheme: http.scheme,
      protocol: http.protocol,
      size: BigInt(http.body?.received ?? http.body?.bytes.length ?? 0),
      ...body,
    },
  }
}

function bodyText(body: CheckBody): string {
  const { buffer, byteOffset, length } = body.bytes
  return repairUtf8(Buffer.from(buffer, byteOffset, length).toString('latin1'))
}

function headerAttributes(http: CheckHttpRequest): Record<string, string> {
  // A plain object would lose a header that is called `__proto__`.
  const record: Record<string, string> = Object.create(null)
  for (const [name, value] of mergeHeaders(http)) record[name] = value
  record[':authority'] = repairUtf8(http.host)
  record[':method'] = repairUtf8(http.method)
  record[':path'] = repairUtf8(http.path)
  record[':scheme'] = http.scheme
  return record
}

/**
 * One entry a name, repeats joined with a comma (cookies too), as valid UTF-8; without `host`, and with what says
 * whether the body is whole.
 */
export function mergeHeaders({ headers, body }: CheckHttpRequest): Map<string, string> {
  const merged = new Map<string, string>()
  for (let i = 0; i < headers.size; i++) {
    const name = repairUtf8(headers.nameAt(i))
    if (name === 'host' || name.startsWith(':') || name === partialBodyHeader) continue
    const value = repairUtf8(headers.valueAt(i))
    const before = merged.get(name)
    merged.set(name, before === undefined ? value : `${before},${value}`)
  }
  if (body !== null) merged.set(partialBodyHeader, String(body.partial))
  return merged
}
