/** Rows of a benchmark: `what`, `ours`, `unit`, and where there is one `peer`, `theirs` and `ratio`. */
export class Report {
  #rows = []
  #notes = []

  /** `ratio` is how many times less ours takes (or, with `more`, how many times more it does). */
  add({ what, ours, unit, peer = null, theirs = null, more = false }) {
    const ratio = theirs === null ? null : round(more ? ours / theirs : theirs / ours)
    this.#rows.push({ what, ours: round(ours), unit, ...(peer === null ? {} : { peer, theirs: round(theirs), ratio }) })
  }

  note(text) {
    this.#notes.push(text)
  }

  print(output) {
    if (output === 'json') {
      process.stdout.write(`${JSON.stringify({ rows: this.#rows, notes: this.#notes })}\n`)
      return
    }
    const lines = this.#rows.map(({ what, ours, unit, peer, theirs, ratio }) => [
      what,
      `${ours} ${unit}`,
      peer === undefined ? '' : `${peer}: ${theirs} ${unit}`,
      ratio === undefined ? '' : `${ratio}x`,
    ])
    const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column].length)))
    for (const line of lines)
      process.stdout.write(
        `${line
          .map((cell, i) => cell.padEnd(widths[i]))
          .join('  ')
          .trimEnd()}\n`,
      )
    for (const note of this.#notes) process.stdout.write(`${note}\n`)
  }
}

function round(number) {
  return Number(number.toPrecision(3))
}

/** The middle of several runs of `work`, in nanoseconds a call. */
export function median(work, calls, runs) {
  const times = []
  for (let run = 0; run < runs; run++) {
    const start = process.hrtime.bigint()
    work()
    times.push(Number(process.hrtime.bigint() - start) / calls)
  }
  times.sort((a, b) => a - b)
  return times[times.length >> 1]
}
