// What is to replace roles.ts: mallory is not let in any more.
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'
import { claimsOf } from './claims.ts'

export default {
  check(request: AuthorizerRequest) {
    const { sub, tenants } = claimsOf(request)
    const own = Array.isArray(tenants) ? tenants : []
    return own.includes(request.query.get('tenant')) && sub !== 'mallory' ? allow() : deny()
  },
}
