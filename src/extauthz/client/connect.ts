import { connect, type Socket } from 'node:net'
import { socketOptions, type Target } from './endpoints.ts'

/**
 * How connections to a provider are made: a socket that is being connected, a `TLSSocket` where TLS comes first. Never
 * throws: what goes wrong is the socket's `error`.
 */
export type Connect = (target: Target) => Socket

export const connectPlain: Connect = (target) => connect({ ...socketOptions(target), noDelay: true })
