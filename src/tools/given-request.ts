import { createHash } from 'node:crypto'
import { remoteIpOf } from '../match/remote-ip.ts'
import { gatewayTopologyFor } from '../mesh/gateway-topology.ts'
import type { Workload } from '../mesh/workload.ts'
import type { ConnectionFacts } from '../policy/facts.ts'
import type { AuthorizedConnection, ChainRequest } from '../proxy/chain.ts'
import { type EdgeHead, readEdgeHead } from '../proxy/edge-head.ts'
import { type RefusedHead, readHead } from '../proxy/request-head.ts'
import type { ExplainOptions } from './explain.ts'
import type { TestHttpRequest, TestRequest } from './request.ts'

/** The connection that the request would come on. `port` is the workload's own. */
export function connectionOf(options: ExplainOptions, request: TestRequest, port: number): AuthorizedConnection {
  const facts: ConnectionFacts = {
    peer: request.source.peer,
    sourceIp: request.source.ip,
    destinationIp: request.destination.ip,
    destinationPort: port,
    sni: request.destination.sni,
  }
  return {
    facts,
    source: { ip: request.source.ipText, port: 0, principal: facts.peer },
    destination: {
      ip: request.destination.ipText,
      port,
      principal: facts.peer === '' ? '' : ownId(options),
    },
  }
}

function ownId({ mesh, workload }: ExplainOptions): string {
  return `spiffe://${mesh.config.trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`
}

/** The head as the proxy reads it, at a gateway or elsewhere, with the client's address. */
export function headOf(
  request: TestHttpRequest,
  connection: AuthorizedConnection,
  { mesh, workload }: ExplainOptions,
): EdgeHead | RefusedHead {
  if (!isReadable(request)) return UNREADABLE
  const { peer, sourceIp, destinationIp } = connection.facts
  const raw = {
    method: request.method,
    url: request.path,
    httpVersionMajor: 1,
    // Later versions have other framing, and the same meaning.
    httpVersionMinor: request.protocol === 'HTTP/1.0' ? 0 : 1,
    anyMethod: !request.protocol.startsWith('HTTP/1'),
    // Parsers drop the white space around a value.
    rawHeaders: ['host', request.host ?? hostOf(workload), ...request.headers.toRaw().map(trimmed)],
  }
  const options = {
    pathMode: mesh.config.pathNormalization,
    // A principal came by mTLS, so that the request is https whatever it says of itself.
    secure: request.scheme === 'https' || peer !== '',
    clientCertificate: peer === '' ? null : certificateElement(connection.destination.principal, peer),
    upgrade: false,
  }
  const { role } = workload
  if (role.kind === 'gateway' || role.kind === 'gatewayApi') {
    const { numTrustedProxies, forwardClientCertDetails } = gatewayTopologyFor(mesh, workload)
    return readEdgeHead(raw, {
      ...options,
      trustedHops: numTrustedProxies,
      peer: sourceIp,
      own: destinationIp,
      forwardClientCertificate: forwardClientCertDetails,
      // The proxy drops them where no policy and no provider looks at them.
      dropEnvoyHeaders: false,
    })
  }
  const head = readHead(raw, options)
  return head.kind === 'refused' ? head : { ...head, remoteIp: remoteIpOf(head.headers, sourceIp) }
}

/** RFC 9110, 5.5: without the spaces and tabs at both ends. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09
}

function hostOf({ name, namespace }: Workload): string {
  return `${name}.${namespace}`
}

/** What the parser of the proxy refuses before there is a head. */
const UNREADABLE: RefusedHead = { kind: 'refused', status: 400, body: 'Bad Request', details: 'http1.codec_error' }

function isReadable({ headers }: TestHttpRequest): boolean {
  const lengths = headers.all('content-length')
  if (lengths.length > 1 || lengths.some((length) => !/^[0-9]{1,15}$/.test(length))) return false
  if (lengths.length > 0 && headers.has('transfer-encoding')) return false
  return [...headers].every(([, value]) => !CONTROL.test(value))
}

/** RFC 9110, 5.5: what a field value cannot hold. */
const CONTROL = /[^\t\x20-\x7e\x80-\xff]/

/** There is no certificate here, so its hash is that of the peer's name: a policy sees that the element is there. */
function certificateElement(own: string, peer: string): string {
  const hash = createHash('sha256').update(peer).digest('hex')
  return `By=${own};Hash=${hash};Subject="";URI=${peer}`
}

export function bodyOf(request: TestHttpRequest): ChainRequest['body'] {
  const bytes = Buffer.from(request.body ?? '', 'latin1')
  return {
    // A chunked body is there before its length is known, even when nothing comes.
    present: bytes.length > 0 || request.headers.has('transfer-encoding'),
    async buffer({ maxRequestBytes, allowPartialMessage }) {
      const partial = bytes.length > maxRequestBytes
      if (partial && !allowPartialMessage) return { kind: 'tooLarge' }
      return { kind: 'read', body: { bytes: bytes.subarray(0, maxRequestBytes), partial } }
    },
  }
}
