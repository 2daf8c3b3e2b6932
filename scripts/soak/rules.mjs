// What the engines decide, twice: as the files that the authorizers load, and as functions for the judge.

/** As the grpc-go server of the peers decides, so that both can stand behind one provider. */
export const decideModule = (name) => `import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

export default (request: AuthorizerRequest) => {
  switch (request.headers['x-decide']) {
    case 'allow':
    case 'empty':
      return allow()
    case 'rewrite':
      return allow({ removeHeaders: ['x-secret'], responseHeaders: { 'x-checked': '${name}' } })
    default:
      return deny({ status: 401, headers: { 'set-cookie': ['a=1', 'b=2'] }, body: 'who are you?' })
  }
}
`

/** Null: allowed. */
export function decide(headers) {
  return ['allow', 'empty', 'rewrite'].includes(headers['x-decide']) ? null : { status: 401, body: 'who are you?' }
}

/** Whom the engine of CEL lets in, by version. */
export const MEMBERS = { wide: ['alice', 'bob'], narrow: ['alice'] }

export const gateExpression = (version) => `// ${version}
has(request.body) && request.body.contains('evil')
  ? {'allow': false, 'status': 403, 'body': 'not this\\n'}
  : 'x-user' in request.headers && request.headers['x-user'] in ${JSON.stringify(MEMBERS[version]).replaceAll('"', "'")}
    ? {'allow': true, 'headers': {'x-role': 'member'}}
    : {'allow': false, 'status': 401, 'headers': {'www-authenticate': 'Bearer'}, 'body': 'who are you?\\n'}
`

export function decideGate(version, headers, body) {
  if (body.includes('evil')) return { status: 403, body: 'not this\n' }
  return MEMBERS[version].includes(headers['x-user']) ? null : { status: 401, body: 'who are you?\n' }
}

/** Whose tenant it is, by the claims of the token; \`strict\` knows somebody who is not let in any more. */
export const rolesModule = (version) => `import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const names = ['metadataContext', 'filterMetadata', 'envoy.filters.http.jwt_authn', 'payload']

export default (request: AuthorizerRequest) => {
  const found = names.reduce<any>((value, name) => value?.[name], request.attributes) ?? {}
  const tenant = request.query.getAll('tenant')
  const own = Array.isArray(found.tenants) ? found.tenants : []
  const out = ${version === 'strict' ? "found.sub === 'mallory'" : 'false'}
  if (out || tenant.length !== 1 || !own.includes(tenant[0])) return deny({ body: 'not your tenant\\n' })
  return allow({ headers: { 'x-user': String(found.sub) } })
}
`

export function decideRoles(version, claims, tenant) {
  const out = version === 'strict' && claims.sub === 'mallory'
  return out || !claims.tenants.includes(tenant) ? { status: 403, body: 'not your tenant\n' } : null
}

export const riskModule = `import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

export default (request: AuthorizerRequest) =>
  request.headers['x-device'] === 'phone-13' ? deny({ body: 'this device is locked\\n' }) : allow()
`

export function decideRisk(headers) {
  return headers['x-device'] === 'phone-13' ? { status: 403, body: 'this device is locked\n' } : null
}

/** Engine files that must not be taken over. */
export const BAD_MODULES = [
  'export default (',
  "throw new Error('at load')\n",
  'export default 7\n',
  "import { nothing } from './absent.ts'\nexport default nothing\n",
]
export const BAD_EXPRESSIONS = ['request.method in [', 'no.such.variable == 1', "request.path.matches('(')", '']
