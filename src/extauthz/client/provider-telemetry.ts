import type { Provider } from '../../mesh/provider.ts'
import type { Logger } from '../../observe/log.ts'
import type { Counter, Gauge, Histogram, MetricsRegistry } from '../../observe/metrics.ts'
import type { AttemptResult, CheckResult, ClientEvents, EndpointChange } from './client-events.ts'
import type { EndpointState, ProviderClient } from './client-status.ts'

const attemptResults: readonly AttemptResult[] = ['answered', 'failed', 'timeout', 'notProcessed']
const endpointStates: readonly EndpointState[] = ['usable', 'unreachable', 'doubtful', 'ejected', 'unhealthy']

/** Lines of the log about one provider in a period of so many milliseconds; what is beyond is counted. */
const maxLines = 20
const period = 10_000

/** What providers' clients tell, as metrics and lines of the log. */
export class ProviderTelemetry {
  readonly log: Logger
  readonly #watched = new Map<ProviderClient, Provider>()
  readonly #durations: Histogram
  readonly #overflows: Counter
  readonly #retries: Counter
  readonly #attempts: Counter
  readonly #ejections: Counter
  readonly #reachable: Gauge
  readonly #inFlight: Gauge
  readonly #waiting: Gauge
  readonly #endpoints: Gauge
  readonly #connections: Gauge
  /** Label values of the gauges that were written last. */
  #written: { readonly gauge: Gauge; readonly labels: readonly string[] }[] = []

  constructor(log: Logger, metrics: MetricsRegistry) {
    this.log = log
    const name = (rest: string) => `sallyport_provider_${rest}`
    const perEndpoint = ['provider', 'endpoint']
    this.#durations = metrics.histogram(
      name('check_duration_seconds'),
      'From the question to its answer, or to its end without one.',
      [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      ['provider'],
    )
    this.#overflows = metrics.counter(name('overflows_total'), 'Checks that failed at once, for a limit.', ['provider'])
    this.#retries = metrics.counter(name('retries_total'), 'Checks that were made again.', ['provider'])
    this.#attempts = metrics.counter(name('endpoint_checks_total'), 'Checks that an endpoint was given.', [
      ...perEndpoint,
      'result',
    ])
    this.#ejections = metrics.counter(name('endpoint_ejections_total'), 'Ejections of an endpoint.', perEndpoint)
    this.#reachable = metrics.gauge(name('reachable'), 'Whether some endpoint can be asked.', ['provider'])
    this.#inFlight = metrics.gauge(name('checks_in_flight'), 'Checks under way, waiting ones included.', ['provider'])
    this.#waiting = metrics.gauge(name('checks_waiting'), 'Checks that wait for a connection.', ['provider'])
    this.#endpoints = metrics.gauge(name('endpoints'), 'Endpoints by state.', ['provider', 'state'])
    this.#connections = metrics.gauge(name('endpoint_connections'), 'Open connections.', perEndpoint)
    metrics.onRender(() => this.#write())
  }

  /** What the client of `provider` is to be given. */
  eventsOf(provider: Provider): ClientEvents {
    return new ProviderEvents(provider, this.log, {
      checked: (result, seconds) => {
        if (result === 'overflow') this.#overflows.inc([provider.name])
        this.#durations.observe(seconds, [provider.name])
      },
      retried: () => this.#retries.inc([provider.name]),
      attempted: (endpoint, result) => this.#attempts.inc([provider.name, endpoint, result]),
      ejected: (endpoint) => this.#ejections.inc([provider.name, endpoint]),
      left: (endpoint) => {
        for (const result of attemptResults) this.#attempts.remove([provider.name, endpoint, result])
        this.#ejections.remove([provider.name, endpoint])
      },
    })
  }

  /** A provider may have several clients: what they have is added up, and it is reachable when it is for all of them. */
  watch(provider: Provider, client: ProviderClient): void {
    this.#watched.set(client, provider)
  }

  forget(client: ProviderClient): void {
    this.#watched.delete(client)
  }

  #write(): void {
    for (const { gauge, labels } of this.#written) gauge.remove(labels)
    this.#written = []
    const reachable = new Map<string, boolean>()
    for (const [client, { name }] of this.#watched) {
      const status = client.status()
      const { inFlight, waiting, endpoints } = status
      reachable.set(name, status.reachable === true && reachable.get(name) !== false)
      this.#add(this.#inFlight, inFlight, name)
      this.#add(this.#waiting, waiting, name)
      for (const state of endpointStates) {
        this.#add(this.#endpoints, endpoints.filter((endpoint) => endpoint.state === state).length, name, state)
      }
      for (const { name: endpoint, connections } of endpoints) this.#add(this.#connections, connections, name, endpoint)
    }
    for (const [name, is] of reachable) this.#add(this.#reachable, is ? 1 : 0, name)
  }

  #add(gauge: Gauge, value: number, ...labels: string[]): void {
    gauge.add(value, labels)
    this.#written.push({ gauge, labels })
  }
}

interface Counts {
  checked(result: CheckResult, seconds: number): void
  retried(): void
  attempted(endpoint: string, result: AttemptResult): void
  ejected(endpoint: string): void
  left(endpoint: string): void
}

class ProviderEvents implements ClientEvents {
  readonly #provider: Provider
  readonly #log: Logger
  readonly #counts: Counts
  #began = Number.NEGATIVE_INFINITY
  #lines = 0
  #suppressed = 0
  #lost = false

  constructor(provider: Provider, log: Logger, counts: Counts) {
    this.#provider = provider
    this.#log = log
    this.#counts = counts
  }

  checked(result: CheckResult, seconds: number): void {
    this.#counts.checked(result, seconds)
  }

  attempted(endpoint: string, result: AttemptResult): void {
    this.#counts.attempted(endpoint, result)
  }

  retried(): void {
    this.#counts.retried()
  }

  endpointChanged(endpoint: string, change: EndpointChange, detail: string): void {
    if (change === 'ejected') this.#counts.ejected(endpoint)
    if (change === 'left') this.#counts.left(endpoint)
    const fields = { endpoint, ...(detail === '' ? {} : { detail }) }
    this.#say(levels[change], `provider ${this.#provider.name}: endpoint ${change}`, fields)
  }

  providerChanged(reachable: boolean, detail: string): void {
    const { name, failOpen, statusOnError } = this.#provider
    if (reachable) {
      // That it is there from the beginning is no news.
      this.#say(this.#lost ? 'info' : 'debug', `provider ${name} answers`, {})
      this.#lost = false
      return
    }
    this.#lost = true
    const consequence = failOpen ? 'let through (failOpen)' : `refused with ${statusOnError}`
    const message = `provider ${name} does not answer; requests that ask it are ${consequence} until it does`
    this.#say('warn', message, { detail })
  }

  #say(level: 'debug' | 'info' | 'warn', message: string, fields: Readonly<Record<string, string>>): void {
    const now = performance.now()
    if (now - this.#began > period) {
      this.#began = now
      this.#lines = 0
    }
    if (++this.#lines > maxLines) {
      this.#suppressed++
      return
    }
    const suppressed = this.#suppressed
    this.#suppressed = 0
    this.#log[level](message, suppressed === 0 ? fields : { ...fields, suppressed })
  }
}

const levels: Readonly<Record<EndpointChange, 'debug' | 'info' | 'warn'>> = {
  joined: 'debug',
  left: 'debug',
  connected: 'debug',
  disconnected: 'debug',
  ejected: 'warn',
  returned: 'info',
  unhealthy: 'warn',
  healthy: 'info',
}
