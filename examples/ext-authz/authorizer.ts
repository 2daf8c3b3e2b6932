// What Istio's sample authorizer decides: `x-ext-authz: allow` passes; over gRPC, a request without that header passes
// for the service account `a`. Both the application and a client that is refused are told what the check has seen.
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const header = 'x-ext-authz'
const account = 'a'
const refusal = `denied by ext_authz for not found header \`${header}: allow\` in the request`

export default {
  check(request: AuthorizerRequest) {
    const value = request.headers[header]
    // A provider that asks over HTTP says nothing of peers.
    const passes = value === undefined ? request.source.principal.endsWith(`/sa/${account}`) : value === 'allow'
    const headers = {
      'x-ext-authz-check-result': passes ? 'allowed' : 'denied',
      'x-ext-authz-check-received': shown(request),
      'x-ext-authz-additional-header-override': override(request),
    }
    return passes ? allow({ headers }) : deny({ status: 403, headers, body: refusal })
  },
}

/** Replaces what a client sends under this name: over HTTP by what the mesh configuration adds to each check. */
function override(request: AuthorizerRequest): string {
  // Only gRPC tells the scheme.
  if (request.scheme !== '') return 'grpc-additional-header-override-value'
  return request.headers['x-ext-authz-additional-header-override'] ?? ''
}

const secret = new Set(['authorization', 'cookie'])

/** What was seen, as one line of ASCII. Credentials stay here, as headers end in logs. */
function shown({ method, host, path, headers, source, body }: AuthorizerRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => [name, secret.has(name) ? '<hidden>' : value])
  const seen = { method, host, path, headers: Object.fromEntries(lines), source: source.principal, body: body.text() }
  const text = JSON.stringify(seen).replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return text.length > 60_000 ? '<too-long>' : text
}
