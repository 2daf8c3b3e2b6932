/** Envoy's limits with Istio's settings, where Node's own would be narrower, wider or silent. */

/** Bytes of a request's or an answer's head. */
export const MAX_HEAD_BYTES = 60 * 1024
export const MAX_FIELDS = 100
/** Milliseconds in which a head must be complete, and in which a TLS handshake or a first byte must come. */
export const HEAD_TIMEOUT = 60_000
export const HANDSHAKE_TIMEOUT = 15_000
/** An idle keep-alive connection, in milliseconds. */
export const IDLE_TIMEOUT = 3_600_000
export const CONNECT_TIMEOUT = 10_000
export const MAX_CONNECTIONS = 10_000
/** Requests that one client may have waiting behind another on one connection. */
export const MAX_PIPELINED = 100
/** Requests under way to one endpoint; more are refused with 503, as by Envoy's circuit breaker. */
export const MAX_UPSTREAM_REQUESTS = 4096
export const MAX_UPSTREAM_CONNECTIONS = 1024
/** How long, in milliseconds, a request may go on whose peer's certificate has expired or lost its root. */
export const LAST_REQUEST = 300_000
