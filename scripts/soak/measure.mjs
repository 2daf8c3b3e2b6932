import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../../bench/measure.mjs'
import { tell } from './processes.mjs'

/** The programs that are measured: ours. */
export const MEASURED = ['up', 'single', 'pair', 'cel']

const MiB = 1024 * 1024
/**
 * What may be left beyond the first measurement, in each program and its workers together, after so many edits of files.
 *
 * - heap: what V8 and its external memory hold after a collection. It hardly varies: caches fill (tokens that were
 *   verified, compiled code), by some 3 MB at most. A module that is loaded anew stays, because V8 never lets one go, with
 *   some 15 KB. A run of two minutes at the default rate has 18,000 requests at the proxies and 6,000 checks at an
 *   authorizer: 1 KB of each are 18 and 6 MB.
 * - resident: what the system gave. It varies by what V8 and the allocator keep for later, so that it catches only what no
 *   heap shows, in longer runs.
 * - files: sockets that are kept for the next request come and go one by one.
 * - connections: those that callers of this run had are closed by then; the proxies keep theirs to providers.
 */
export function boundsAfter(edits) {
  return { heap: 4.5 * MiB + edits * 16 * 1024, resident: 48 * MiB, files: 16, connections: 8 }
}

/** Resident memory is the middle of so many looks, so many milliseconds apart. */
const LOOKS = 7
const LOOK_EVERY = 150
/** For a program to collect garbage and tell. */
const PROBE_PATIENCE = 10_000

/** What each program holds now: `{ heap, resident, files, connections, busy }` by role, in bytes and numbers. */
export async function measure(stage) {
  return new Map(await Promise.all(MEASURED.map(async (name) => [name, await measureOne(stage, name)])))
}

async function measureOne(stage, name) {
  const pids = stage.roles.get(name).pids()
  const heap = await probe(stage.probes, pids)
  const looks = []
  for (let i = 0; i < LOOKS; i++) {
    looks.push(pids.map(residentOf).reduce(add))
    await delay(LOOK_EVERY)
  }
  const { connections, busy } = await counts(stage.ports[`${name}Metrics`])
  return { heap, resident: median(looks), files: pids.map(filesOf).reduce(add), connections, busy }
}

/** What went beyond a bound between two measurements, a sentence each. */
export function exceeded(before, after, bounds) {
  return MEASURED.flatMap((name) => {
    const [first, last] = [before.get(name), after.get(name)]
    const grown = Object.entries(bounds)
      .filter(([what, bound]) => last[what] - first[what] > bound)
      .map(([what, bound]) => {
        const show = (value) => shown(what, value)
        return `${name}: ${what} went from ${show(first[what])} to ${show(last[what])}; ${show(bound)} more are the most`
      })
    const busy = last.busy > 0 ? [`${name}: ${last.busy} checks are still under way, or wait`] : []
    return [...grown, ...busy]
  })
}

export function shown(what, value) {
  return what === 'heap' || what === 'resident' ? `${(value / MiB).toFixed(1)} MB` : String(value)
}

async function probe(folder, pids) {
  const files = pids.map((pid) => path.join(folder, `${pid}.json`))
  for (const file of files) rmSync(file, { force: true })
  for (const pid of pids) tell(pid, 'SIGUSR2')
  const late = performance.now() + PROBE_PATIENCE
  while (!files.every((file) => existsSync(file))) {
    if (performance.now() > late) throw new Error('a program did not tell what it holds')
    await delay(20)
  }
  return files.map((file) => JSON.parse(readFileSync(file, 'utf8')).heap).reduce(add)
}

function residentOf(pid) {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
}

function filesOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).length
}

const OPEN =
  /^(?:sallyport_connections_open|sallyport_authorizer_connections|sallyport_provider_endpoint_connections)\b/
const BUSY =
  /^(?:sallyport_provider_checks_in_flight|sallyport_provider_checks_waiting|sallyport_authorizer_checks_in_flight)\b/

/** Of a program's own metrics: connections that are open, and checks that are under way. */
async function counts(port) {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(5000) })).text()
  const sum = (pattern) =>
    page
      .split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
      .reduce(add, 0)
  return { connections: sum(OPEN), busy: sum(BUSY) }
}

function add(a, b) {
  return a + b
}
