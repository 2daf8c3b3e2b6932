import type { FamilySnapshot, HistogramValue, MetricsSnapshot } from './metrics-snapshot.ts'
import { renderSnapshot } from './metrics-snapshot.ts'

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
    return renderSnapshot(this.snapshot())
  }

  /** What is counted now, as plain data. */
  snapshot(): MetricsSnapshot {
    for (const update of this.#beforeRender) update()
    return [...this.#families.values()].map((family) => family.snapshot())
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
  readonly #kind: FamilySnapshot['kind']
  readonly #labels: readonly string[]
  readonly #maxSeries: number
  readonly #series = new Map<string, { readonly labels: string; readonly value: S }>()

  protected constructor(
    kind: FamilySnapshot['kind'],
    name: string,
    help: string,
    labels: readonly string[],
    maxSeries: number,
  ) {
    this.name = name
    this.#kind = kind
    this.#help = help
    this.#labels = labels
    this.#maxSeries = maxSeries
  }

  protected abstract create(): S
  protected abstract valueOf(value: S): number | HistogramValue

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

  snapshot(): FamilySnapshot {
    const series = [...this.#series.values()].map(({ labels, value }) => [labels, this.valueOf(value)] as const)
    return { name: this.name, help: this.#help, kind: this.#kind, series }
  }
}

const OTHER = 'other'

function keyOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] as string) : values.join('\u0000')
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

/** One series of a counter or gauge: for hot paths, which need not look it up each time. */
export interface Cell {
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

  cell(labels: readonly string[] = []): Cell {
    return this.series(labels)
  }

  protected override create(): Cell {
    return { value: 0 }
  }

  protected override valueOf(cell: Cell): number {
    return cell.value
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

  cell(labels: readonly string[] = []): Cell {
    return this.series(labels)
  }

  /** Ends the series of what is no longer there. */
  remove(labels: readonly string[]): void {
    this.forget(labels)
  }

  protected override create(): Cell {
    return { value: 0 }
  }

  protected override valueOf(cell: Cell): number {
    return cell.value
  }
}

/** One series of a histogram. */
export class Distribution {
  readonly #bounds: readonly number[]
  /** Not cumulative; the last one is beyond every bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    let i = 0
    while (i < this.#bounds.length && value > (this.#bounds[i] as number)) i++
    this.#counts[i] = (this.#counts[i] as number) + 1
    this.#sum += value
  }

  get value(): HistogramValue {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum }
  }
}

export class Histogram extends Family<Distribution> {
  readonly #bounds: readonly number[]

  constructor(name: string, help: string, bounds: readonly number[], labels: readonly string[], maxSeries: number) {
    super('histogram', name, help, labels, maxSeries)
    this.#bounds = bounds
  }

  observe(value: number, labels: readonly string[] = []): void {
    this.series(labels).observe(value)
  }

  cell(labels: readonly string[] = []): Distribution {
    return this.series(labels)
  }

  protected override create(): Distribution {
    return new Distribution(this.#bounds)
  }

  protected override valueOf(distribution: Distribution): HistogramValue {
    return distribution.value
  }
}
