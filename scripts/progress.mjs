const HEARTBEAT_MS = 10_000

/** Elapsed time as people read it: `0.4 s`, `12 s`, `2 min 5 s`. */
export function elapsed(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/**
 * Runs `work` and tells about it on stderr once it has taken longer than `quietFor` milliseconds, so that what has
 * nothing to do prints nothing. On a terminal the line counts up in place; elsewhere a line comes every ten seconds.
 */
export async function step(label, work, { quietFor = 0, out = process.stderr } = {}) {
  const started = performance.now()
  const age = () => performance.now() - started
  let shown = false
  let timer = null
  const show = () => {
    if (out.isTTY) out.write(`\r\x1b[2K  ${label} ... ${shown ? elapsed(age()) : ''}`)
    else out.write(shown ? `  ${label}: still at it after ${elapsed(age())}\n` : `  ${label} ...\n`)
    shown = true
    timer = setTimeout(show, out.isTTY ? 1000 : HEARTBEAT_MS)
  }
  if (quietFor > 0) timer = setTimeout(show, quietFor)
  else show()
  const finish = (mark) => {
    clearTimeout(timer)
    if (shown) out.write(`${out.isTTY ? '\r\x1b[2K' : ''}  ${label}: ${mark} (${elapsed(age())})\n`)
  }
  try {
    const result = await work()
    finish('done')
    return result
  } catch (error) {
    finish('failed')
    throw error
  }
}
