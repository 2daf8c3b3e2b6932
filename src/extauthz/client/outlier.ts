import type { Host } from './host.ts'

/** Outlier detection in Envoy's terms. */
export interface OutlierOptions {
  /** Failures in a row after which an endpoint is ejected. Default 5. */
  readonly consecutiveFailures: number
  /** Milliseconds of the first ejection; the nth lasts n times as long. Default 5000. */
  readonly baseEjectionTime: number
  /** Milliseconds of the longest ejection. Default 60,000. */
  readonly maxEjectionTime: number
  /** No endpoint is ejected while this share of them is. Default 50. */
  readonly maxEjectionPercent: number
}

const defaults: OutlierOptions = {
  consecutiveFailures: 5,
  baseEjectionTime: 5000,
  maxEjectionTime: 60_000,
  maxEjectionPercent: 50,
}

/** Whether an endpoint is ejected, and what leads there. */
export interface OutlierState {
  failures: number
  /** Ejections that count for the length of the next one. */
  times: number
  /** End of the last ejection, on the clock of `performance.now`. */
  end: number
  /** Null while it is not ejected. */
  timer: NodeJS.Timeout | null
}

export function initialOutlierState(): OutlierState {
  return { failures: 0, times: 0, end: 0, timer: null }
}

/** Ejects endpoints that fail checks in a row. It says only who is asked, never what is answered. */
export class OutlierDetection {
  readonly #options: OutlierOptions
  readonly #hosts: () => Iterable<Host>
  readonly #changed: (host: Host, ejectedFor: number | null) => void

  /** `changed` is told of milliseconds when a host is ejected, and of null when it is back. */
  constructor(
    options: Partial<OutlierOptions>,
    hosts: () => Iterable<Host>,
    changed: (host: Host, ejectedFor: number | null) => void,
  ) {
    this.#options = { ...defaults, ...options }
    this.#hosts = hosts
    this.#changed = changed
  }

  succeeded(host: Host): void {
    host.outlier.failures = 0
    // Asked because every endpoint was ejected, and it answers.
    if (host.outlier.timer !== null) this.#return(host)
  }

  failed(host: Host): void {
    const { outlier } = host
    outlier.failures++
    if (outlier.failures < this.#options.consecutiveFailures || outlier.timer !== null || !this.#mayEject()) return
    outlier.failures = 0
    const now = performance.now()
    // A time without ejection that is as long as the last one takes one from the count.
    const calm = Math.floor((now - outlier.end) / this.#options.baseEjectionTime)
    outlier.times = Math.max(0, outlier.times - calm) + 1
    const { baseEjectionTime, maxEjectionTime } = this.#options
    const time = Math.min(maxEjectionTime, baseEjectionTime * outlier.times)
    outlier.timer = setTimeout(() => {
      this.#return(host)
      // On probation: one more failure is enough, until a check is answered.
      outlier.failures = this.#options.consecutiveFailures - 1
    }, time).unref()
    this.#changed(host, time)
  }

  /** The host is no longer there. */
  forget({ outlier }: Host): void {
    if (outlier.timer !== null) clearTimeout(outlier.timer)
    outlier.timer = null
  }

  #return(host: Host): void {
    this.forget(host)
    host.outlier.end = performance.now()
    this.#changed(host, null)
  }

  /** As Envoy: the limit is looked at before an ejection, so that the first one is always possible. */
  #mayEject(): boolean {
    let all = 0
    let ejected = 0
    for (const host of this.#hosts()) {
      all++
      if (host.outlier.timer !== null) ejected++
    }
    return ejected * 100 < all * this.#options.maxEjectionPercent
  }
}
