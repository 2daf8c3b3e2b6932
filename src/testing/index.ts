/**
 * Tests of external authorization checks without a socket: a request is encoded as a proxy sends it, judged, and the
 * answer is read and applied as a proxy does, by the code that Sallyport's own proxy and server run on.
 */
export type { CheckOptions, Subject } from './check.ts'
export { check, checkConnection } from './check.ts'
export type { CheckResult, ConnectionResult, Upstream } from './check-result.ts'
export type { Claims, IssuerOptions, ServedKeys, TestIssuer, TokenTimes } from './issuer.ts'
export { createIssuer } from './issuer.ts'
export type { TestConnection, TestPeer, TestRequest } from './test-request.ts'
