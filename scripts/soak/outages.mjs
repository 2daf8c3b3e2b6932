/** Milliseconds in which what was asked of a killed endpoint may still fail, while others are there. */
const SHOCK = 1000
/**
 * Milliseconds after which an endpoint that is back must be asked again: a client tries again after a second at most, and
 * a busy machine needs some more.
 */
const RECOVERY = 2500

/** When which process was not itself, so that a failure can be held against it. Times are of `performance.now()`. */
export class Outages {
  #records = []

  /**
   * A fault of `role` begins: `gone` where its connections break, `hanging` where nothing comes of them. Returns what
   * says that it is over.
   */
  begin(role, kind) {
    const record = { role, kind, from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.#records.push(record)
    return () => {
      record.to = performance.now() + RECOVERY
    }
  }

  /** Whether the process itself may have failed at some time between. */
  touched(role, from, to) {
    return this.#records.some((record) => record.role === role && record.from <= to && record.to >= from)
  }

  /** Whether a provider with these endpoints may have failed: one that hangs is found out late, one that is gone is not. */
  failed(roles, from, to) {
    if (roles.every((role) => this.touched(role, from, to))) return true
    return this.#records.some(
      (record) =>
        roles.includes(record.role) &&
        record.from <= to &&
        (record.kind === 'hanging' ? record.to : record.from + SHOCK) >= from,
    )
  }
}
