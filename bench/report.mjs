import { cpus } from 'node:os'
import { median } from './measure.mjs'

const WIDTH = 120
/** A process that got less of a core than this shared it. */
const BUSY = 0.9

/** Rows of a benchmark: `what`, `ours`, `unit`, and where there is one `peer`, `theirs` and `ratio`. */
export class Report {
  #rows = []
  #notes = []
  #shares = []

  /** `ratio` is how many times less ours takes (or, with `more`, how many times more it does). */
  add({ what, ours, unit, peer = null, theirs = null, more = false }) {
    const ratio = theirs === null ? null : figure(more ? ours / theirs : theirs / ours)
    this.#rows.push({
      what,
      ours: figure(ours),
      unit,
      ...(peer === null ? {} : { peer, theirs: figure(theirs), ratio }),
    })
  }

  /** How much of a core one of the measured processes was given, up to 1. */
  given(share) {
    this.#shares.push(share)
  }

  note(text) {
    this.#notes.push(text)
  }

  /** `text`, or `json`: one object with `rows` and `notes`. */
  print(output) {
    const share = this.#shares.length === 0 ? 1 : median(this.#shares)
    if (share < BUSY) {
      const percent = Math.round(100 * share)
      this.note(
        `This machine was busy: what was measured had ${percent} % of a core, and figures are worse than on a quiet one.`,
      )
    }
    this.note(`Node ${process.version} on ${cpus().length} cores (${cpus()[0]?.model ?? 'of an unknown kind'}).`)
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
    for (const note of this.#notes) process.stdout.write(`\n${wrap(note)}\n`)
  }
}

/** Three significant digits: no figure here is better than that. */
export function figure(number) {
  return Number(number.toPrecision(3))
}

function wrap(text) {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== '' && line.length + 1 + word.length > WIDTH) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join('\n')
}
