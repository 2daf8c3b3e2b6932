/** The middle of some numbers, of which there is at least one. */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
}

/**
 * Microseconds a call, as the median of batches: `prepare(n)` makes what a batch is given, outside of the time, and
 * `work(batch)` goes through it. Ends after `batches`, or sooner once `seconds` are over, but never before the third.
 */
export function timeBatches({ prepare, work, size = 32, batches = 600, seconds = 2 }) {
  const times = []
  const end = performance.now() + seconds * 1000
  // What takes long is given few at once, so that the time is kept.
  const used = timeOf(work, prepare(1)) > 50_000 / size ? Math.max(1, Math.ceil(size / 40)) : size
  while (times.length < 3 || (times.length < batches && performance.now() < end)) {
    times.push(timeOf(work, prepare(used)))
  }
  return median(times)
}

/** Runs `work` on such batches until the compiler had time to see what it does. */
export function warmUp({ prepare, work, size = 32, batches = 600, seconds = 0.5 }) {
  const end = performance.now() + seconds * 1000
  for (let i = 0; i < batches && performance.now() < end; i++) work(prepare(i === 0 ? 1 : size))
}

function timeOf(work, batch) {
  const start = process.hrtime.bigint()
  work(batch)
  return Number(process.hrtime.bigint() - start) / 1000 / batch.length
}

/**
 * Milliseconds of processor time that `work` takes, of all threads, and its result: what it takes on one core that nobody
 * else uses, whoever uses it now.
 */
export function processorTime(work) {
  const before = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(before)
  return { ms: (user + system) / 1000, result }
}
