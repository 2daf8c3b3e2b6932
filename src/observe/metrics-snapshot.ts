/** What a registry counts at one moment, as plain data that can go to another process. */
export type MetricsSnapshot = readonly FamilySnapshot[]

export interface FamilySnapshot {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  /** Labels as Prometheus writes them between its braces. */
  readonly series: readonly (readonly [labels: string, value: number | HistogramValue])[]
}

export interface HistogramValue {
  readonly bounds: readonly number[]
  /** Not cumulative; the last one is beyond every bound. */
  readonly counts: readonly number[]
  readonly sum: number
}

/** Prometheus text. */
export function renderSnapshot(snapshot: MetricsSnapshot): string {
  const lines: string[] = []
  for (const { name, help, kind, series } of snapshot) {
    lines.push(`# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`)
    lines.push(`# TYPE ${name} ${kind}`)
    for (const [labels, value] of series) {
      if (typeof value === 'number') lines.push(sample(name, labels, value))
      else renderHistogram(lines, name, labels, value)
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function renderHistogram(lines: string[], name: string, labels: string, { bounds, counts, sum }: HistogramValue): void {
  const prefix = labels === '' ? '' : `${labels},`
  let total = 0
  for (const [i, count] of counts.entries()) {
    total += count
    const bound = i < bounds.length ? String(bounds[i]) : '+Inf'
    lines.push(sample(`${name}_bucket`, `${prefix}le="${bound}"`, total))
  }
  lines.push(sample(`${name}_sum`, labels, sum), sample(`${name}_count`, labels, total))
}

function sample(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`
}

/** The same families of several processes as one: every series is the sum. Families keep the order of the first. */
export function sumSnapshots(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const families = new Map<string, { readonly first: FamilySnapshot; series: Map<string, number | HistogramValue> }>()
  for (const snapshot of snapshots) {
    for (const family of snapshot) {
      const known = families.get(family.name) ?? { first: family, series: new Map() }
      families.set(family.name, known)
      for (const [labels, value] of family.series) {
        const before = known.series.get(labels)
        known.series.set(labels, before === undefined ? value : add(before, value))
      }
    }
  }
  return [...families.values()].map(({ first, series }) => ({ ...first, series: [...series] }))
}

/** Without gauges: what a process that has ended had counted counts on, what it held is gone. */
export function withoutGauges(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(({ kind }) => kind !== 'gauge')
}

function add(a: number | HistogramValue, b: number | HistogramValue): number | HistogramValue {
  if (typeof a === 'number') return typeof b === 'number' ? a + b : a
  if (typeof b === 'number' || a.counts.length !== b.counts.length) return a
  return { bounds: a.bounds, counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)), sum: a.sum + b.sum }
}
