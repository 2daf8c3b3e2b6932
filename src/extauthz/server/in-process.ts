import { fromBinary, toBinary } from '@bufbuild/protobuf'
import type { HttpProvider } from '../../mesh/provider.ts'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckOutcome, CheckRequest } from '../check.ts'
import { encodeCheckRequest } from '../check-request.ts'
import { parseCheckResponse } from '../check-response.ts'
import { failure } from '../client/failure.ts'
import { createHttpRules } from '../client/http-rules.ts'
import { grpcStatus } from '../grpc-framing.ts'
import type { JsonObject } from './answer.ts'
import { checkPath, createCheckService } from './grpc-service.ts'
import { httpAnswer } from './http-answer.ts'
import { readHttpRequest } from './http-request.ts'
import type { Judge } from './judge.ts'
import type { Verdict } from './verdict.ts'

/** What a caller that sits in the same process understood. */
export interface Answered {
  readonly outcome: CheckOutcome
  readonly metadata: JsonObject
}

/** What a proxy may send besides what Sallyport's own does. */
export interface Additions {
  readonly contextExtensions: Readonly<Record<string, string>>
  /** Of a TCP connection. */
  readonly sni: string
}

const nobodyLeaves = new AbortController().signal
const nothing: JsonObject = Object.freeze({})

/** Asks over the messages of the gRPC form, from the caller's encoder to its parser, without a connection. */
export async function askOverGrpc(judge: Judge, request: CheckRequest, additions: Additions): Promise<Answered> {
  const message = withAdditions(encodeCheckRequest(request, { packAsBytes: true }), additions)
  const service = createCheckService(judge)
  const reply = await service.handle({ path: checkPath, message, timeout: null, signal: nobodyLeaves })
  if (reply.kind === 'status') {
    const reason = reply.status === grpcStatus.deadlineExceeded ? 'timeout' : 'unavailable'
    return { outcome: failure(reason, `RPC status ${reply.status}: ${reply.text}`), metadata: nothing }
  }
  const { dynamicMetadata } = fromBinary(CheckResponseSchema, reply.message)
  return { outcome: parseCheckResponse(reply.message), metadata: dynamicMetadata ?? nothing }
}

function withAdditions(message: Uint8Array, { contextExtensions, sni }: Additions): Uint8Array {
  if (sni === '' && Object.keys(contextExtensions).length === 0) return message
  const decoded = fromBinary(CheckRequestSchema, message)
  const { attributes } = decoded
  if (attributes === undefined) return message
  Object.assign(attributes.contextExtensions, contextExtensions)
  // Where Envoy has it on TCP (observed).
  if (sni !== '' && attributes.destination !== undefined) attributes.destination.service = sni
  return toBinary(CheckRequestSchema, decoded)
}

/** The provider's part of the HTTP form: which headers go there, and which come back. Absent lists: all that there are. */
export type HttpLists = Partial<
  Pick<
    HttpProvider,
    | 'pathPrefix'
    | 'includeRequestHeaders'
    | 'headersToUpstreamOnAllow'
    | 'headersToDownstreamOnAllow'
    | 'headersToDownstreamOnDeny'
  >
>

/** Asks over the HTTP form, from the caller's request to its reading of the response, without a connection. */
export async function askOverHttp(judge: Judge, asked: CheckRequest, lists: HttpLists): Promise<Answered> {
  const { http } = asked
  if (http === null) {
    return { outcome: failure('unavailable', 'an HTTP provider cannot judge a connection'), metadata: nothing }
  }
  const provider = providerOf(
    lists,
    [...http.headers].map(([name]) => name),
  )
  const rawHeaders = createHttpRules(provider).requestHeaders(asked, http)
  const head = {
    method: http.method,
    url: provider.pathPrefix + http.path,
    httpVersion: '1.1',
    rawHeaders,
    headers: { host: rawHeaders[rawHeaders.indexOf('host') + 1] },
  }
  const request = readHttpRequest(head, http.body?.bytes ?? new Uint8Array(0), nobodyLeaves)
  const verdict = await judge({ kind: 'request', request }, 'http')
  const rules = createHttpRules({ ...provider, ...everythingOf(verdict), ...lists })
  const answer = httpAnswer(verdict, request)
  return { outcome: rules.outcome(answer), metadata: nothing }
}

/** The form has one list of headers for all purposes: it is the provider's lists that tell them apart. */
function everythingOf(verdict: Verdict): HttpLists {
  if (verdict.kind !== 'allow') return {}
  const names = (...lists: (readonly (readonly [string, string])[])[]) => lists.flat().map(([name]) => name)
  return {
    headersToUpstreamOnAllow: names(verdict.set, verdict.append),
    headersToDownstreamOnAllow: names(verdict.responseSet, verdict.responseAdd),
  }
}

function providerOf(lists: HttpLists, names: readonly string[]): HttpProvider {
  return {
    kind: 'http',
    name: 'in-process',
    service: 'in-process',
    port: 80,
    timeout: 1000,
    failOpen: false,
    statusOnError: 403,
    includeRequestBody: null,
    pathPrefix: '',
    includeRequestHeaders: names,
    includeAdditionalHeaders: [],
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnAllow: [],
    headersToDownstreamOnDeny: [],
    ...lists,
  }
}
