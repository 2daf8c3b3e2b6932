import { randomBytes } from 'node:crypto'
import type { Logger } from '../../observe/log.ts'
import { maskTarget } from '../../observe/mask.ts'
import { parseTraceparent, type Span } from '../../observe/trace-context.ts'
import type { Verdict } from './answer.ts'
import type { AuthorizerMetrics } from './authorizer-metrics.ts'
import { type CheckDecision, checkDecision } from './check-decision.ts'
import type { CheckObserver, CheckResult } from './judge.ts'
import type { Asked } from './request.ts'

export interface DecisionLogOptions {
  /** Takes one check. It should not wait: checks go on. */
  readonly write: (decision: CheckDecision) => void
  /** Default `all`; `denied`: all but those that allowed. */
  readonly level?: 'all' | 'denied'
  /** The share of allowed checks that is written, from 0 to 1; default 1. */
  readonly sample?: number
}

export interface ObserveOptions {
  readonly name: string
  readonly engine: string
  readonly metrics: AuthorizerMetrics
  readonly log: DecisionLogOptions | null
  readonly onSpan: ((span: Span) => void) | null
  readonly logger: Logger
}

/** Counts every check, and tells of it where somebody listens. */
export function observeChecks({ name, engine, metrics, log, onSpan, logger }: ObserveOptions): CheckObserver {
  const { checks, duration, inFlight } = metrics
  const tell =
    log === null && onSpan === null
      ? null
      : (asked: Asked, verdict: Verdict, result: CheckResult, took: number) => {
          try {
            if (log !== null && isWritten(log, result)) log.write(checkDecision(name, asked, verdict, result, took))
            if (onSpan !== null) spanOf(name, engine, asked, verdict, result, took, onSpan)
          } catch (error) {
            // Somebody else's function: its failure is none of the check's.
            logger.error('a check could not be told of', { error: error instanceof Error ? error.name : typeof error })
          }
        }
  return {
    began() {
      inFlight.value++
    },
    ended(asked, verdict, result, since) {
      const took = performance.now() - since
      inFlight.value--
      checks[result].value++
      duration.observe(took / 1000)
      tell?.(asked, verdict, result, took)
    },
  }
}

function isWritten({ level = 'all', sample = 1 }: DecisionLogOptions, result: CheckResult): boolean {
  if (result !== 'allow') return true
  return level === 'all' && (sample >= 1 || Math.random() < sample)
}

/** Only what the caller traces is traced: a check is a part of somebody's request. */
function spanOf(
  name: string,
  engine: string,
  asked: Asked,
  verdict: Verdict,
  result: CheckResult,
  took: number,
  onSpan: (span: Span) => void,
): void {
  if (asked.kind !== 'request') return
  const { request } = asked
  const parent = parseTraceparent(request.headers.traceparent)
  if (parent === null || !parent.sampled) return
  const end = Date.now()
  onSpan({
    traceId: parent.traceId,
    spanId: randomBytes(8).toString('hex'),
    parentSpanId: parent.spanId,
    name: 'sallyport.check',
    start: end - took,
    end,
    attributes: {
      'sallyport.authorizer': name,
      'sallyport.engine': engine,
      'sallyport.result': result,
      'http.request.method': request.method,
      'url.path': maskTarget(request.pathname),
      'server.address': request.host.slice(0, 256),
      ...(verdict.kind === 'deny' ? { 'http.response.status_code': verdict.status } : {}),
    },
    failed: result === 'error' || result === 'timeout',
  })
}
