import { parseSpiffeAllowance } from '../../match/spiffe-allow-list.ts'
import type { AuthorizerGrpcListener, AuthorizerListener, AuthorizerTls } from '../authorizer.ts'
import { defaultKeepalive, placedListener } from '../authorizer.ts'
import { parseListenAddress } from '../listen-address.ts'
import { besideDocument } from './beside-document.ts'
import type { Cursor } from './cursor.ts'
import type { Decoder } from './decoder.ts'
import { boolean, list, map, string } from './decoder.ts'
import { duration } from './duration.ts'
import { optional, record, required } from './record.ts'
import { LEAF } from './shape.ts'

const listen = map(string, (text, at): string | undefined => {
  const parsed = parseListenAddress(text)
  if (parsed.kind !== 'invalid') return text
  at.report('SP106', `\`${text}\` is not an address to listen on`, { help: parsed.help })
  return undefined
})

const allowance = map(string, (text, at): string | undefined => {
  const parsed = parseSpiffeAllowance(text)
  if (parsed.kind !== 'invalid') return text
  at.report('SP106', `\`${text}\` cannot be allowed: ${parsed.reason}`, {
    help: 'write a whole SPIFFE id, or its beginning: `spiffe://cluster.local/ns/istio-system/sa/*`',
  })
  return undefined
})

const tls = map(
  record({
    certificate: required(string),
    key: required(string),
    clientCa: optional(string, null),
    allow: optional(list(allowance), null),
  }),
  (value, at): AuthorizerTls | undefined => {
    const { allow, clientCa } = value
    const { allow: written } = at.value as { readonly allow?: unknown }
    // An entry that could not be read has been reported.
    const nobody = allow !== null && allow.length === 0 && Array.isArray(written) && written.length === 0
    if (allow !== null && clientCa === null) {
      at.child('allow', null).report('SP105', '`allow` needs `clientCa`: without it no client shows a certificate', {
        help: 'write `clientCa: ./ca.crt`, the roots of the clients',
      })
      return undefined
    }
    if (nobody) {
      at.child('allow', null).report('SP106', 'nobody is allowed', {
        help: 'write at least one SPIFFE id, or remove `allow` to let in every certificate of `clientCa`',
      })
      return undefined
    }
    return value
  },
)

/** `0660` in YAML is octal already, and decimal 432 in JSON, as in Kubernetes; as text it is octal too. */
const mode: Decoder<number> = {
  shape: LEAF,
  decode(at) {
    const { value } = at
    const number =
      typeof value === 'string' && /^0?o?[0-7]{3,4}$/.test(value) ? Number.parseInt(digits(value), 8) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 0o777) return number
    at.report('SP106', `\`${JSON.stringify(value)}\` are no permissions`, {
      help: 'write three octal digits: `"0660"`',
    })
    return undefined
  },
}

function digits(text: string): string {
  return text.replace(/^0?o/, '')
}

const common = {
  listen: required(listen),
  mode: optional(mode, null),
  tls: optional(tls, null),
}

function settle<L extends AuthorizerListener>(listener: L, at: Cursor): L | undefined {
  if (listener.mode !== null && !listener.listen.startsWith('unix:')) {
    at.child('mode', null).report('SP106', '`mode` is for unix sockets, and this is none', { help: 'remove `mode`' })
    return undefined
  }
  return placedListener(listener, (path) => besideDocument(path, at))
}

export const httpListener: Decoder<AuthorizerListener> = map(record(common), settle)

/** Every end of a connection costs its caller a new one, and every PING an answer. */
const longDuration = map(duration, (milliseconds, at): number | undefined => {
  if (milliseconds >= 1000) return milliseconds
  at.report('SP106', `\`${at.value}\` is below a second`, { help: 'write a second or more: `30m`' })
  return undefined
})

export const grpcListener: Decoder<AuthorizerGrpcListener> = map(
  record({
    ...common,
    maxConnectionAge: optional(longDuration, null),
    maxConnectionAgeGrace: optional(duration, null),
    keepalive: optional(
      record({
        time: optional(longDuration, defaultKeepalive.time),
        timeout: optional(longDuration, defaultKeepalive.timeout),
      }),
      defaultKeepalive,
    ),
    reflection: optional(boolean, true),
  }),
  settle,
)
