import type { Cell, Counter, Distribution, Gauge, Histogram, MetricsRegistry } from '../../observe/metrics.ts'
import type { GrpcRefusal } from './grpc-transport.ts'
import type { HttpRefusal } from './http-server.ts'
import type { CheckResult } from './judge.ts'
import type { ConnectionRefusal } from './listener.ts'

/** Upper bounds in seconds: from a header rule to a call of a slow service. */
const bounds = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

interface Families {
  readonly checks: Counter
  readonly duration: Histogram
  readonly inFlight: Gauge
  readonly connections: Gauge
  readonly refused: Counter
}

/** Several authorizers may have one registry, in which a family is made once. */
const known = new WeakMap<MetricsRegistry, Families>()

function familiesOf(metrics: MetricsRegistry): Families {
  const found = known.get(metrics)
  if (found !== undefined) return found
  const made: Families = {
    checks: metrics.counter('sallyport_authorizer_checks_total', 'Checks by what became of them.', [
      'authorizer',
      'engine',
      'result',
    ]),
    duration: metrics.histogram('sallyport_authorizer_check_duration_seconds', 'Time in the engine.', bounds, [
      'authorizer',
      'engine',
    ]),
    inFlight: metrics.gauge('sallyport_authorizer_checks_in_flight', 'Checks that are under way.', ['authorizer']),
    connections: metrics.gauge('sallyport_authorizer_connections', 'Connections that are open.', [
      'authorizer',
      'listener',
    ]),
    refused: metrics.counter('sallyport_authorizer_refused_total', 'Calls and connections refused unasked, by why.', [
      'authorizer',
      'listener',
      'reason',
    ]),
  }
  known.set(metrics, made)
  return made
}

export type ListenerName = 'grpc' | 'http'

/** What one authorizer counts. */
export class AuthorizerMetrics {
  readonly checks: Readonly<Record<CheckResult, Cell>>
  readonly duration: Distribution
  readonly inFlight: Cell
  readonly #families: Families
  readonly #name: string

  constructor(metrics: MetricsRegistry, name: string, engine: string) {
    this.#families = familiesOf(metrics)
    this.#name = name
    const cell = (result: CheckResult) => this.#families.checks.cell([name, engine, result])
    this.checks = {
      allow: cell('allow'),
      deny: cell('deny'),
      error: cell('error'),
      timeout: cell('timeout'),
      cancelled: cell('cancelled'),
    }
    this.duration = this.#families.duration.cell([name, engine])
    this.inFlight = this.#families.inFlight.cell([name])
  }

  connections(listener: ListenerName): Cell {
    return this.#families.connections.cell([this.#name, listener])
  }

  refused(listener: ListenerName, why: ConnectionRefusal | GrpcRefusal | HttpRefusal): void {
    this.#families.refused.inc([this.#name, listener, why])
  }
}
