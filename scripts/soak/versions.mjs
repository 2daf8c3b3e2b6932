/** A value that edits of files change: between an edit and the word that it is in effect, both count. */
export class Versions {
  #list

  constructor(value) {
    this.#list = [{ value, from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }]
  }

  get last() {
    return this.#list.at(-1).value
  }

  /** Call before the file is written. Returns what says that, after `late` milliseconds, the old one decides no more. */
  change(value) {
    const old = this.#list.at(-1)
    this.#list.push({ value, from: performance.now(), to: Number.POSITIVE_INFINITY })
    return (late = 0) => {
      old.to = performance.now() + late
    }
  }

  /** The values that may have been in effect at some time between. */
  between(from, to) {
    return [...new Set(this.#list.filter((one) => one.from <= to && one.to >= from).map(({ value }) => value))]
  }
}
