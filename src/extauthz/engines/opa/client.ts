import { Pool } from 'undici'
import type { Decision } from '../opa-envoy/checks.ts'
import type { OpaAddress } from './address.ts'

export interface OpaClientOptions {
  /** PEM of the authorities that may vouch for the server; null for those of the system. */
  readonly ca: string | null
  /** Sent as a bearer token, or null. */
  readonly token: string | null
  readonly limits?: OpaClientLimits
}

export interface OpaClientLimits {
  readonly connections: number
  /** Milliseconds for a connection, and for each answer. */
  readonly timeout: number
  /** Of an answer's body. */
  readonly maxBytes: number
  /** Questions at a time, waiting ones included; more fail at once. */
  readonly maxQuestions: number
}

const defaultLimits: OpaClientLimits = {
  connections: 64,
  timeout: 10_000,
  maxBytes: 4 * 1024 * 1024,
  maxQuestions: 10_000,
}

/** A server of OPA, asked over its REST API. Connections are kept, and close by themselves when nothing is asked. */
export interface OpaClient {
  /** `document`: the names that lead to it below `data`. `input`: JSON. Never rejects. */
  evaluate(document: readonly string[], input: string, signal: AbortSignal): Promise<Decision>
  /** Null when the server says that it is healthy, else why not. Never rejects. */
  health(): Promise<string | null>
}

export function createOpaClient(address: OpaAddress, options: OpaClientOptions): OpaClient {
  const { limits = defaultLimits } = options
  const pool = new Pool(address.origin, {
    connections: limits.connections,
    connectTimeout: limits.timeout,
    headersTimeout: limits.timeout,
    bodyTimeout: limits.timeout,
    maxResponseSize: limits.maxBytes,
    ...(address.socketPath === null ? {} : { socketPath: address.socketPath }),
    ...(options.ca === null ? {} : { connect: { ca: options.ca } }),
  })
  const headers = {
    'content-type': 'application/json',
    ...(options.token === null ? {} : { authorization: `Bearer ${options.token}` }),
  }
  let questions = 0

  async function ask(method: 'GET' | 'POST', path: string, body: string | null, signal: AbortSignal | null) {
    const reply = await pool.request({ method, path: `${address.prefix}${path}`, headers, body, signal })
    const text = await reply.body.text()
    return { status: reply.statusCode, text }
  }

  return {
    async evaluate(document, input, signal) {
      if (questions >= limits.maxQuestions) return failed('too many questions wait for the server of OPA')
      questions++
      try {
        const path = `/v1/data/${document.map(encodeURIComponent).join('/')}`
        const { status, text } = await ask('POST', path, `{"input":${input}}`, signal)
        if (status !== 200) return failed(`the server of OPA answered ${status}${codeOf(text)}`)
        return readResult(text)
      } catch (error) {
        return failed(`the server of OPA gave no answer: ${reasonOf(error)}`)
      } finally {
        questions--
      }
    },
    async health() {
      try {
        const { status } = await ask('GET', '/health', null, null)
        return status === 200 ? null : `it answered ${status}`
      } catch (error) {
        return reasonOf(error)
      }
    },
  }
}

function readResult(text: string): Decision {
  const reply: unknown = JSON.parse(text)
  if (typeof reply !== 'object' || reply === null) return failed('the server of OPA answered something else')
  return Object.hasOwn(reply, 'result')
    ? { kind: 'defined', value: (reply as { readonly result: unknown }).result }
    : { kind: 'undefined' }
}

/** OPA's own word for what is wrong, such as `internal_error`: its message may quote the input. */
function codeOf(text: string): string {
  try {
    const { code } = JSON.parse(text) as { readonly code?: unknown }
    return typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? ` (${code})` : ''
  } catch {
    return ''
  }
}

/** The code of a system's or of undici's error, such as ECONNREFUSED. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

function failed(message: string): Decision {
  return { kind: 'failed', message }
}
