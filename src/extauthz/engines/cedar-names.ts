import type { Context } from '@cedar-policy/cedar-wasm/nodejs'

/** The types of the entities that a request is turned into. */
export const PRINCIPAL = 'Principal'
export const ACTION = 'Action'
export const RESOURCE = 'Resource'

/** Whoever has no identity. No SPIFFE id and no subject of a token is spelt so. */
export const ANONYMOUS = 'anonymous'

/** The action of a TCP connection, beside the methods of HTTP. */
export const CONNECTION = 'tcp'

export const ACTIONLESS: Context = {}
