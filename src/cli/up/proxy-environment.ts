import type { ProxyEnvironment } from '../../authn/http-fetch-proxy.ts'
import type { Io } from '../io.ts'

/** By Go's rules, as istiod: upper case first. */
export function proxyEnvironment({ env }: Io): ProxyEnvironment {
  return {
    https: env.HTTPS_PROXY || env.https_proxy,
    http: env.HTTP_PROXY || env.http_proxy,
    no: env.NO_PROXY || env.no_proxy,
  }
}
