/**
 * Metrics in memory, written out as Prometheus text (version 0.0.4). Every family has a bound on its label sets:
 * those beyond it are counted together under the label value `other`, so that no client can make memory grow.
 */
export class MetricsRegistry {
  readonly #families = new Map<string, Family>()
  readonly #beforeRender: (() => void)[] = []

  counter(name: string, help: string, labels: readonly string[] = [], maxSeries = 500): Counter {
    return this.#add(new Counter(name, help, labels, maxSeries))
  }

  gauge(name: string, help: string, labels: readonly string[] = [], maxSeries = 500): Gauge {
    return this.#add(new Gauge(name, help, labels, maxSeries))
  }

  /** `bounds` are upper bounds, ascending, without infinity. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labels: readonly string[] = [],
    maxSeries = 200,
  ): Histogram {
    return this.#add(new Histogram(name, help, bounds, labels, maxSeries))
  }

  /** Called before each `render`: sets what nobody needs to know in between. */
  onRender(update: () => void): void {
    this.#beforeRender.push(update)
  }

  /** The whole registry as Prometheus text, families in the order in which they were made. */
  render(): string {
    for (const update of this.#beforeRender) update()
    const lines: string[] = []
    for (const family of this.#families.values()) family.render(lines)
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`
  }

  #add<F extends Family>(family: F): F {
    if (this.#families.has(family.name)) throw new Error(`metric ${family.name} is registered twice`)
    this.#families.set(family.name, family)
    return family
  }
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

abstract class Family<S = unknown> {
  readonly name: string
  readonly #help: string
  readonly #kind: string
  readonly #labels: readonly string[]
  readonly #maxSeries: number
  readonly #series = new Map<string, { readonly labels: string; readonly value: S }>()

  protected constructor(kind: string, name: string, help: string, labels: readonly string[], maxSeries: number) {
    this.name = name
    this.#kind = kind
    this.#help = help
    this.#labels = labels
    this.#maxSeries = maxSeries
  }

  protected abstract create(): S
  protected abstract renderSeries(lines: string[], labels: string, value: S): void

  /** The series of these label values, one for each label name. */
  protected series(values: readonly string[]): S {
    const key = keyOf(values)
    const known = this.#series.get(key)
    if (known !== undefined) return known.value
    if (values.length !== this.#labels.length) throw new Error(`${this.name} takes ${this.#labels.length} labels`)
    if (this.#series.size >= this.#maxSeries && !values.every((value) => value === OTHER)) {
      return this.series(values.map(() => OTHER))
    }
    const labels = this.#labels.map((name, i) => `${name}="${escapeLabel(values[i] as string)}"`).join(',')
    const value = this.create()
    this.#series.set(key, { labels, value })
    return value
  }

  protected forget(values: readonly string[]): void {
    this.#series.delete(keyOf(values))
  }

  render(lines: string[]): void {
    lines.push(`# HELP ${this.name} ${this.#help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`)
    lines.push(`# TYPE ${this.name} ${this.#kind}`)
    for (const { labels, value } of this.#series.values()) this.renderSeries(lines, labels, value)
  }
}

const OTHER = 'other'

function keyOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] as string) : values.join('\u0000')
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function sample(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`
}

interface Cell {
  value: number
}

export class Counter extends Family<Cell> {
  constructor(name: string, help: string, labels: readonly string[], maxSeries: number) {
    super('counter', name, help, labels, maxSeries)
  }

  inc(labels: readonly string[] = [], by = 1): void {
    this.series(labels).value += by
  }

  /** Ends the series of what is no longer there. */
  remove(labels: readonly string[]): void {
    this.forget(labels)
  }

  protected override create(): Cell {
    return { value: 0 }
  }

  protected override renderSeries(lines: string[], labels: string, cell: Cell): void {
    lines.push(sample(this.name, labels, cell.value))
  }
}

export class Gauge extends Family<Cell> {
  constructor(name: string, help: string, labels: readonly string[], maxSeries: number) {
    super('gauge', name, help, labels, maxSeries)
  }

  set(value: number, labels: readonly string[] = []): void {
    this.series(labels).value = value
  }

  add(by: number, labels: readonly string[] = []): void {
    this.series(labels).value += by
  }

  /** Ends the series of what is no longer there. */
  remove(labels: readonly string[]): void {
    this.forget(labels)
  }

  protected override create(): Cell {
    return { value: 0 }
  }

  protected override renderSeries(lines: string[], labels: string, cell: Cell): void {
    lines.push(sample(this.name, labels, cell.value))
  }
}

interface Buckets {
  /** Not cumulative; the last one is beyond every bound. */
  readonly counts: number[]
  sum: number
}

export class Histogram extends Family<Buckets> {
  readonly #bounds: readonly number[]

  constructor(name: string, help: string, bounds: readonly number[], labels: readonly string[], maxSeries: number) {
    super('histogram', name, help, labels, maxSeries)
    this.#bounds = bounds
  }

  observe(value: number, labels: readonly string[] = []): void {
    const buckets = this.series(labels)
    let i = 0
    while (i < this.#bounds.length && value > (this.#bounds[i] as number)) i++
    buckets.counts[i] = (buckets.counts[i] as number) + 1
    buckets.sum += value
  }

  protected override create(): Buckets {
    return { counts: new Array<number>(this.#bounds.length + 1).fill(0), sum: 0 }
  }

  protected override renderSeries(lines: string[], labels: string, buckets: Buckets): void {
    const prefix = labels === '' ? '' : `${labels},`
    let total = 0
    for (const [i, count] of buckets.counts.entries()) {
      total += count
      const bound = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf'
      lines.push(sample(`${this.name}_bucket`, `${prefix}le="${bound}"`, total))
    }
    lines.push(sample(`${this.name}_sum`, labels, buckets.sum), sample(`${this.name}_count`, labels, total))
  }
}
