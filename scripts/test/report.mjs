import { elapsed } from '../progress.mjs'

const INDENT = '    '
const LABEL_WIDTH = 16

/** Writes what the run finds, as it finds it, and keeps the totals. */
export class Report {
  #out
  #started = performance.now()
  passed = 0
  failed = 0
  skipped = 0

  constructor(out = process.stdout) {
    this.#out = out
  }

  /** Counts a check that is no test file, such as the linter: `failure` is its output, or null. */
  check(stage, failure, ms) {
    if (failure === null) this.passed++
    else this.failed++
    if (failure !== null) this.#out.write(`${indent(failure)}\n`)
    this.line(stage, failure === null ? 'passed' : 'failed', ms)
  }

  /** A file's failures and skips, in full. */
  file(file, { passed, failures, skips, output }) {
    this.passed += passed
    this.failed += failures.length
    this.skipped += skips.length
    for (const { name, error } of failures) this.#out.write(`\n  FAILED ${file}: ${name}\n${indent(describe(error))}\n`)
    if (failures.length > 0 && output.trim() !== '') this.#out.write(`\n  its output:\n${indent(output.trimEnd())}\n\n`)
    for (const { name, reason } of skips) this.#out.write(`  skipped ${file}: ${name}: ${reason}\n`)
  }

  line(stage, text, ms) {
    this.#out.write(`  ${stage.padEnd(LABEL_WIDTH)} ${text}${ms === undefined ? '' : ` (${elapsed(ms)})`}\n`)
  }

  /** The last line of the output. */
  end() {
    this.#out.write(`  ${'in all'.padEnd(LABEL_WIDTH)} ${elapsed(performance.now() - this.#started)}\n`)
    this.#out.write(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped\n`)
  }
}

/** An error with its stack, without the frames of Node itself, and with what caused it. */
function describe(error) {
  if (!(error instanceof Error)) return String(error)
  const stack = (error.stack ?? `${error.name}: ${error.message}`)
    .split('\n')
    .filter((line) => !/^\s+at (?:.*\()?node:/.test(line))
    .join('\n')
  const inner = [...(error.errors ?? []), ...(error.cause === undefined ? [] : [error.cause])]
  return [stack, ...inner.map((cause) => `caused by ${describe(cause)}`)].join('\n')
}

function indent(text) {
  return text.trimEnd().replace(/^/gm, INDENT)
}
