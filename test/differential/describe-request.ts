import type { Hit } from './coverage.ts'
import { type Fields, fieldsOf, listOf } from './json-fields.ts'
import type { Outcome } from './outcome.ts'
import type { Case, HttpAnswer, RequestSpec, Script } from './spec.ts'

/** What an authorizer's answer reaches, for the table of coverage. */
export function describeScript({ delay, answer }: Script, hit: (item: string) => void): void {
  if (delay > 0) hit('delay')
  switch (answer.kind) {
    case 'status':
    case 'garbage':
      hit(`grpc ${answer.kind}`)
      return
    case 'message':
      describeMessage(fieldsOf(answer.message), hit)
      return
    case 'answer':
      describeAnswer(answer, hit)
      return
    default:
  }
}

function describeMessage(message: Fields, hit: (item: string) => void): void {
  const ok = fieldsOf(message.okResponse)
  const code = Number(fieldsOf(message.status).code ?? 0)
  if (Object.keys(message).length === 0) hit('grpc empty')
  if (message.errorResponse !== undefined) hit('grpc error answer')
  else if (code !== 0) hit(message.deniedResponse === undefined ? 'grpc deny without words' : 'grpc deny')
  else hit('grpc allow')
  if (code !== 0) return
  const options = listOf(ok.headers).map(fieldsOf)
  if (options.some(({ append }) => append !== true)) hit('grpc headers set')
  if (options.some(({ append }) => append === true)) hit('grpc headers appended')
  if (/":(?:path|method|authority)"|"host"/.test(JSON.stringify(ok.headers ?? ''))) hit('grpc request line')
  if (ok.headersToRemove !== undefined) hit('grpc headers removed')
  if (ok.responseHeadersToAdd !== undefined) hit('grpc answer headers')
  if (ok.queryParametersToSet !== undefined || ok.queryParametersToRemove !== undefined) hit('grpc query')
}

function describeAnswer(
  { status, headers }: HttpAnswer & { readonly kind: 'answer' },
  hit: (item: string) => void,
): void {
  hit(status === 200 ? 'http allow' : status < 300 ? 'http other 2xx' : status < 500 ? 'http deny' : 'http 5xx')
  if (headers.length > 0) hit('http headers')
  if (headers.some(([name]) => name === 'x-envoy-auth-headers-to-remove')) hit('http headers to remove')
}

/** What a request reaches. */
export function describeRequest({ source: client, port, http, script }: RequestSpec, hit: Hit): void {
  if (script !== null && (script.answer.kind === 'close' || script.answer.kind === 'silence')) {
    hit('provider answers', `${script.kind} ${script.answer.kind}`)
  }
  const { certificate, alpn } = client
  hit('protocols', certificate === null ? 'plaintext' : 'mTLS')
  if (certificate === '') hit('protocols', 'no certificate')
  if (certificate?.startsWith('stranger:')) hit('protocols', 'unknown root')
  if (/^uri:spiffe:\/\/(?:evil|cluster\.local\.evil)\//.test(certificate ?? ''))
    hit('protocols', 'foreign trust domain')
  if (certificate !== null && !alpn.some((name) => name.startsWith('istio'))) hit('protocols', 'no istio ALPN')
  if (client.sni !== '') hit('protocols', 'SNI')
  if (client.ip !== '127.0.0.1') hit('protocols', 'source address')
  if (port === 'other') hit('protocols', 'second port')
  if (http === null) {
    hit('protocols', certificate === null ? 'TCP' : 'TCP mTLS')
    return
  }
  if (http.raw !== null) return
  hit('protocols', http.version)
  if (http.body.kind === 'length') hit('protocols', 'body by length')
  if (http.body.kind === 'chunked') hit('protocols', 'chunked body')
  const names = http.headers.map(([name]) => name.toLowerCase())
  if (http.headers.some(([name, value]) => name === 'content-type' && value.startsWith('application/grpc')))
    hit('protocols', 'gRPC')
  if (/^\/.*(?:%|\.|;|\\|\/\/)/.test(http.target)) hit('requests', 'odd path')
  if (/^[a-z]+:\/\//i.test(http.target)) hit('requests', 'absolute target')
  if (http.hosts.length === 0) hit('requests', 'no host')
  if (http.hosts.some((host) => /[ /,*[_]|^$|\.\.|:$|99999/.test(host))) hit('requests', 'odd host')
  if (new Set(names).size < names.length) hit('requests', 'duplicate header')
  const forwarded = http.headers.filter(([name]) => name === 'x-forwarded-for')
  if (forwarded.length > 0) hit('requests', 'X-Forwarded-For')
  if (forwarded.some(([, value]) => value.includes(','))) hit('requests', 'X-Forwarded-For chain')
  if (http.method === 'OPTIONS' && names.includes('access-control-request-method')) hit('requests', 'preflight')
  if (http.method === 'HEAD') hit('requests', 'HEAD')
  if (/^(?:FOO|PROPFIND|get|TRACE|QUERY)$/.test(http.method)) hit('requests', 'odd method')
  if (names.includes('connection')) hit('requests', 'Connection options')
}

/** What became of a request in the engine whose word counts. */
export function describeOutcome({ request }: Case, outcome: Outcome, hit: (item: string) => void): void {
  const { decision, status, policy, details, grpc, dryRun, audit } = outcome
  if (dryRun !== null) hit('dry-run result')
  if (audit) hit('audited')
  if (request.http === null) {
    hit(decision === 'allow' ? 'TCP allowed' : 'TCP denied')
    return
  }
  if (decision === 'allow') {
    hit('allowed')
    return
  }
  if (grpc !== null) hit('gRPC refusal')
  if (status === null) hit('closed')
  else if (policy === 'none') hit('implicit deny')
  else if (policy !== null) hit(policy.includes('bad-CUSTOM-action') ? 'bad CUSTOM' : 'DENY rule')
  else if (details === 'ext_authz_denied') hit('provider denies')
  else if (details === 'ext_authz_error') hit('provider fails')
  else if (details?.startsWith('jwt_authn') === true) hit(status === 403 ? 'audience 403' : 'token 401')
  const statuses = new Set([400, 404, 413, 426, 501])
  if (status !== null && statuses.has(status)) hit(String(status))
}
