// Turns away devices that are known to be stolen.
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const stolen: ReadonlySet<string> = new Set(['phone-13'])

export default {
  check({ headers }: AuthorizerRequest) {
    if (!stolen.has(headers['x-device'] ?? '')) return allow()
    return deny({ headers: { 'content-type': 'text/plain' }, body: 'this device is locked\n' })
  },
}
