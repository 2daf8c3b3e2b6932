// Who may look at whose orders: the claim `tenants` of the verified token lists them.
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'
import { claimsOf } from './claims.ts'

export default {
  check(request: AuthorizerRequest) {
    const { sub, tenants } = claimsOf(request)
    const tenant = request.query.getAll('tenant')
    const own = Array.isArray(tenants) ? tenants : []
    // A parameter that is there twice is read differently by different programs.
    if (tenant.length !== 1 || !own.includes(tenant[0])) return deny({ body: 'not your tenant\n' })
    return allow({ headers: { 'x-user': String(sub), 'x-tenant': tenant[0] as string } })
  },
}
