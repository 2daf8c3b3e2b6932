import type { CheckOutcome } from '../extauthz/check.ts'
import type { CacheEvent } from '../extauthz/delegation/decision-cache.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Logger } from '../observe/log.ts'
import type { Counter, Gauge, Histogram, MetricsRegistry } from '../observe/metrics.ts'
import type { Decision } from '../policy/decision.ts'
import type { DecisionLogEntry } from './decision-log.ts'
import type { DelegationEvents } from './delegate.ts'
import type { RefusalCause } from './peer-refusal.ts'
import type { UpstreamFailure } from './upstream-failure.ts'

/** Lines about checks of one provider that have no answer, in so many milliseconds. */
const unansweredLines = 10
const unansweredPeriod = 10_000

/** What the proxy tells about itself. */
export class Telemetry implements DelegationEvents {
  readonly log: Logger
  /** Null when nobody listens, so that no entry is built. */
  readonly decisions: ((entry: DecisionLogEntry) => void) | null
  readonly #requests: Counter
  readonly #durations: Histogram
  readonly #checks: Counter
  readonly #cached: Counter
  readonly #shadows: Counter
  readonly #connections: Counter
  readonly #peers: Counter
  readonly #open: Gauge
  readonly #failures: Counter
  readonly #egress: Counter
  readonly #unansweredLines = new WeakMap<Provider, { since: number; lines: number; suppressed: number }>()

  constructor(log: Logger, decisions: ((entry: DecisionLogEntry) => void) | null, metrics: MetricsRegistry) {
    this.log = log
    this.decisions = decisions
    this.#requests = metrics.counter('sallyport_requests_total', 'Requests and TCP connections by decision.', [
      'workload',
      'decision',
      'phase',
    ])
    this.#durations = metrics.histogram(
      'sallyport_request_duration_seconds',
      'From the end of the head to the end of the answer.',
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      ['workload'],
    )
    this.#checks = metrics.counter('sallyport_provider_checks_total', 'Answers of external authorizers.', [
      'provider',
      'outcome',
    ])
    this.#cached = metrics.counter(
      'sallyport_delegation_cache_total',
      'Questions of Delegations with a cache by where the answer came from, and answers that were evicted.',
      ['delegation', 'provider', 'event'],
    )
    this.#shadows = metrics.counter(
      'sallyport_delegation_shadow_total',
      'What providers in shadow would have decided, and what was decided.',
      ['delegation', 'provider', 'shadow', 'decision'],
    )
    this.#connections = metrics.counter('sallyport_connections_total', 'Accepted connections by what became of them.', [
      'workload',
      'outcome',
    ])
    this.#peers = metrics.counter('sallyport_peers_refused_total', 'Peers that mutual TLS does not let in, by why.', [
      'workload',
      'reason',
    ])
    this.#open = metrics.gauge('sallyport_connections_open', 'Connections that are open now.', ['workload'])
    this.#failures = metrics.counter('sallyport_upstream_failures_total', 'Endpoints that gave no whole answer.', [
      'workload',
      'reason',
    ])
    this.#egress = metrics.counter('sallyport_egress_requests_total', 'Requests of applications to others.', [
      'workload',
      'outcome',
    ])
  }

  decided(workload: string, decision: Decision): void {
    this.#requests.inc([workload, decision.decision, decision.phase])
  }

  /** `seconds` since the head was read. */
  answered(workload: string, seconds: number): void {
    this.#durations.observe(seconds, [workload])
  }

  asked(provider: Provider, outcome: CheckOutcome): void {
    this.#checks.inc([provider.name, outcome.kind === 'error' ? outcome.reason : outcome.kind])
    if (outcome.kind === 'error' && outcome.reason !== 'cancelled') this.#unanswered(provider, outcome)
  }

  /** A provider that is down would bring a line for each request. */
  #unanswered(provider: Provider, { reason, message }: Extract<CheckOutcome, { kind: 'error' }>): void {
    const now = performance.now()
    let told = this.#unansweredLines.get(provider)
    if (told === undefined || now - told.since > unansweredPeriod) {
      told = { since: now, lines: 0, suppressed: told?.suppressed ?? 0 }
      this.#unansweredLines.set(provider, told)
    }
    if (++told.lines > unansweredLines) {
      told.suppressed++
      return
    }
    const { name, failOpen } = provider
    const suppressed = told.suppressed === 0 ? {} : { suppressed: told.suppressed }
    told.suppressed = 0
    this.log.warn('provider cannot be asked', { provider: name, reason, message, failOpen, ...suppressed })
  }

  cache(delegation: string, provider: Provider, event: CacheEvent): void {
    this.#cached.inc([delegation, provider.name, event])
  }

  shadow(
    delegation: string,
    provider: Provider,
    outcome: CheckOutcome | null,
    id: string,
    { decision, phase }: Decision,
  ): void {
    const shadow = outcome === null ? 'dropped' : outcome.kind === 'error' ? outcome.reason : outcome.kind
    this.#shadows.inc([delegation, provider.name, shadow, decision])
    // Those that agree are as many as there are requests.
    const level = shadow === decision || shadow === 'dropped' ? 'debug' : 'info'
    this.log[level]('provider in shadow', { id, delegation, provider: provider.name, shadow, decision, phase })
  }

  opened(workload: string): void {
    this.#open.add(1, [workload])
  }

  closed(workload: string): void {
    this.#open.add(-1, [workload])
  }

  connection(workload: string, outcome: 'plaintext' | 'tls' | 'mtls' | 'passthrough' | 'refused'): void {
    this.#connections.inc([workload, outcome])
  }

  /** A peer that mutual TLS does not let in, or keeps out from now on. `reason` is for people and holds no secret. */
  peerRefused(workload: string, cause: RefusalCause, reason: string): void {
    this.#peers.inc([workload, cause])
    // Whatever scans ports fails in handshakes.
    this.log[cause === 'handshake' ? 'debug' : 'info']('peer refused', { workload, cause, reason })
  }

  upstreamFailed(workload: string, failure: UpstreamFailure): void {
    this.#failures.inc([workload, failure.reason])
    this.log.debug('endpoint failed', { workload, reason: failure.reason, message: failure.message })
  }

  egress(workload: string, outcome: 'sent' | 'unknown' | 'refused'): void {
    this.#egress.inc([workload, outcome])
  }
}
