// Decides by user: `x-user-id` names one, and each has a role that the application is told.
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const roles: ReadonlyMap<string, string> = new Map([
  ['alice', 'admin'],
  ['bob', 'reader'],
])

export default {
  check(request: AuthorizerRequest) {
    const user = request.headers['x-user-id'] ?? ''
    const role = roles.get(user)
    if (role !== undefined) return allow({ headers: { 'x-user-role': role } })
    const headers = { 'content-type': 'text/plain', 'x-denied-by': 'ext-authz' }
    return deny({ status: 403, headers, body: user === '' ? 'no x-user-id\n' : 'nobody by that name\n' })
  },
}
