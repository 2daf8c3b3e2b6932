import type { Logger } from './log.ts'
import type { Span } from './trace-context.ts'

export interface OtlpOptions {
  /** Where traces are posted to, whole: `http://localhost:4318/v1/traces`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
  readonly fetch: typeof fetch
  readonly logger: Logger
}

/** Takes spans and posts them in the background. */
export interface SpanExporter {
  export(span: Span): void
  /** Spans that were given up: the queue was full, or the collector did not take them. */
  readonly dropped: number
  /** Posts what is left, for at most the time of one post. */
  close(): Promise<void>
}

/** Spans that wait; more are dropped and counted. */
const mostWaiting = 2048
const mostAtOnce = 512
/** Milliseconds between two posts, and for one. */
const interval = 5000
const patience = 5000

/** Posts spans as OTLP over HTTP in JSON. One post at a time; one that fails is not tried again. */
export function createOtlpExporter(options: OtlpOptions): SpanExporter {
  return new OtlpExporter(options)
}

class OtlpExporter implements SpanExporter {
  readonly #options: OtlpOptions
  #waiting: Span[] = []
  #timer: NodeJS.Timeout | null = null
  #posting: Promise<void> | null = null
  #dropped = 0
  #complained = false

  constructor(options: OtlpOptions) {
    this.#options = options
  }

  get dropped(): number {
    return this.#dropped
  }

  export(span: Span): void {
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped++
      return
    }
    this.#waiting.push(span)
    if (this.#waiting.length >= mostAtOnce) this.#flush()
    else if (this.#timer === null) {
      this.#timer = setTimeout(() => this.#flush(), interval)
      this.#timer.unref()
    }
  }

  async close(): Promise<void> {
    await this.#posting
    this.#flush()
    await this.#posting
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#posting !== null || this.#waiting.length === 0) return
    const batch = this.#waiting.slice(0, mostAtOnce)
    this.#waiting = this.#waiting.slice(mostAtOnce)
    this.#posting = this.#post(batch).then(() => {
      this.#posting = null
      if (this.#waiting.length > 0 && this.#timer === null) {
        this.#timer = setTimeout(() => this.#flush(), this.#waiting.length >= mostAtOnce ? 0 : interval)
        this.#timer.unref()
      }
    })
  }

  async #post(batch: readonly Span[]): Promise<void> {
    const { url, headers, serviceName, fetch, logger } = this.#options
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(otlpTraces(batch, serviceName)),
        signal: AbortSignal.timeout(patience),
        redirect: 'error',
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`status ${response.status}`)
      this.#complained = false
    } catch (error) {
      this.#dropped += batch.length
      if (!this.#complained) logger.warn('spans were not exported', { url, reason: reasonOf(error) })
      this.#complained = true
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.message
}

/** Of OTLP's enumerations: a span of a server, and the status of one that failed. */
const SERVER = 2
const ERROR = 2

/** An ExportTraceServiceRequest as OTLP writes it in JSON: ids in hexadecimal, 64-bit numbers as text. */
export function otlpTraces(spans: readonly Span[], serviceName: string): object {
  const resource = { attributes: attributes({ 'service.name': serviceName }) }
  const scope = { name: 'sallyport' }
  return { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: spans.map(otlpSpan) }] }] }
}

function otlpSpan(span: Span): object {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    kind: SERVER,
    startTimeUnixNano: nanoseconds(span.start),
    endTimeUnixNano: nanoseconds(span.end),
    attributes: attributes(span.attributes),
    ...(span.failed ? { status: { code: ERROR } } : {}),
  }
}

/** A number would lose the last digits. */
function nanoseconds(milliseconds: number): string {
  const whole = Math.floor(milliseconds)
  return `${whole}${String(Math.floor((milliseconds - whole) * 1e6)).padStart(6, '0')}`
}

function attributes(of: Span['attributes']): object[] {
  return Object.entries(of).map(([key, value]) => {
    switch (typeof value) {
      case 'string':
        return { key, value: { stringValue: value } }
      case 'boolean':
        return { key, value: { boolValue: value } }
      default:
        return { key, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } }
    }
  })
}
