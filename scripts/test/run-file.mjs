import { run } from 'node:test'
import { elapsed } from '../progress.mjs'

const OUTPUT_LIMIT = 64 * 1024

/**
 * Runs one test file in a process of its own and counts its leaves: tests without subtests. What a file owes is a
 * count, so one that holds no test, ends in the middle or does not end at all is a failure whatever its exit code.
 *
 * @returns {Promise<{ passed: number, failures: { name: string, error: unknown }[],
 *   skips: { name: string, reason: string }[], output: string }>}
 */
export async function runFile(file, { timeout, signal }) {
  const tally = new Tally(file, timeout)
  // Not run()'s own `timeout`: newer versions of Node apply that to each test, and a file that merely does not end
  // would never be stopped.
  const late = AbortSignal.timeout(timeout)
  const stream = run({ files: [file], concurrency: 1, signal: AbortSignal.any([signal, late]) })
  for await (const event of stream) tally.take(event)
  return tally.result()
}

class Tally {
  #file
  #timeout
  #path = []
  #passed = 0
  #failures = []
  #skips = []
  #output = ''
  #reported = 0
  #begun = 0
  #ended = 0
  #running = new Map()
  #fileFailed = false

  constructor(file, timeout) {
    this.#file = file
    this.#timeout = timeout
  }

  take({ type, data }) {
    switch (type) {
      case 'test:stdout':
      case 'test:stderr':
        this.#keep(data.message)
        return
      case 'test:diagnostic':
        // The runner's own totals are of nesting 0 as well, and are of no use here.
        if (/^(Error|Warning): /.test(data.message)) this.#keep(`${data.message}\n`)
        return
      case 'test:dequeue':
        if (data.name === this.#file) return
        this.#begun++
        this.#running.set(`${data.nesting} ${data.name}`, data.name)
        return
      case 'test:complete':
        if (data.name === this.#file) return
        this.#ended++
        this.#running.delete(`${data.nesting} ${data.name}`)
        return
      case 'test:start':
        // Starts and results come in the order of declaration, whatever ran first: this is the path of names.
        this.#path.length = data.nesting
        this.#path[data.nesting] = { name: data.name, children: 0 }
        if (data.nesting > 0) this.#path[data.nesting - 1].children++
        return
      case 'test:pass':
      case 'test:fail':
        this.#result(type === 'test:pass', data)
    }
  }

  #result(passed, data) {
    if (data.name === this.#file) {
      this.#wholeFile(passed, data.details.error)
      return
    }
    const node = this.#path[data.nesting]
    const name = this.#path
      .slice(0, data.nesting + 1)
      .map((entry) => entry.name)
      .join(' > ')
    this.#reported++
    const skip = data.skip ?? data.todo
    if (skip !== undefined && skip !== false) {
      if (node.children === 0) this.#skips.push({ name, reason: reasonOf(data) })
    } else if (!passed) {
      const error = data.details.error
      if (node.children === 0 || error?.failureType !== 'subtestsFailed')
        this.#failures.push({ name, error: causeOf(error) })
    } else if (node.children === 0 && data.details.type !== 'suite') {
      this.#passed++
    }
  }

  /** The runner reports the file itself when its process failed, or when it held no test. */
  #wholeFile(passed, error) {
    if (passed) return
    this.#fileFailed = true
    if (error?.failureType === 'testAborted') {
      const running = [...this.#running.values()]
      const where =
        running.length === 0
          ? 'its tests are over, but something keeps it alive'
          : `still running: ${running.join(', ')}`
      this.#failures.push({ name: 'the file', error: `stopped (the limit is ${elapsed(this.#timeout)}); ${where}` })
    } else if (this.#failures.length === 0) {
      const message = this.#reported === 0 ? 'failed before any test ended' : 'failed although its tests passed'
      this.#failures.push({ name: 'the file', error: message })
    }
  }

  result() {
    if (!this.#fileFailed) {
      if (this.#reported === 0)
        this.#failures.push({ name: 'the file', error: 'holds no test, or ended before the first one did' })
      else if (this.#begun !== this.#ended)
        this.#failures.push({ name: 'the file', error: 'ended before all of its tests did' })
    }
    return { passed: this.#passed, failures: this.#failures, skips: this.#skips, output: this.#output }
  }

  #keep(text) {
    this.#output = (this.#output + text).slice(-OUTPUT_LIMIT)
  }
}

function reasonOf({ skip, todo }) {
  const reason = skip ?? todo
  if (typeof reason === 'string' && reason !== '') return reason
  return skip === undefined ? 'marked as unfinished' : 'no reason given'
}

/** The runner wraps what a test threw. */
function causeOf(error) {
  return error?.cause ?? error ?? 'failed'
}
