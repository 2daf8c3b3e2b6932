/** Where a span belongs, as W3C Trace Context carries it. */
export interface TraceContext {
  /** 32 hexadecimal digits, in lower case. */
  readonly traceId: string
  /** 16 of them: the caller's span. */
  readonly spanId: string
  /** Whether the caller records its part of the trace. */
  readonly sampled: boolean
}

/** A `traceparent` header; null when it is absent or malformed, and a trace then begins anew or not at all. */
export function parseTraceparent(text: string | undefined): TraceContext | null {
  if (text === undefined || text.length < 55 || text.length > 512) return null
  const match = FORM.exec(text)
  if (match === null) return null
  const [, version, traceId = '', spanId = '', flags = '', more = ''] = match
  // Version 0 has nothing after its flags; what a later one adds is passed over.
  if (version === 'ff' || (version === '00' && more !== '')) return null
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const ZEROS = /^0+$/

/** Something that took time, as a part of a trace. It names no secrets. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly start: number
  readonly end: number
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  /** Whether it failed, rather than gave an answer that somebody may not like. */
  readonly failed: boolean
}
