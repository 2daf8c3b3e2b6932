// The time from the text of a large mesh to deciders, by stage, with what it holds in memory; beside the library alone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { must } from './job.mjs'
import { mesh } from './load/mesh.mjs'
import { yaml } from './load/yaml.mjs'
import { median } from './measure.mjs'
import { options } from './options.mjs'
import { figure, Report } from './report.mjs'

const { output, quick } = options()
const COUNT = quick ? 200 : 10_000
const RUNS = quick ? 1 : 3
const MB = 1_000_000
/** The project's own goals for the short policies in one text. */
const GOAL = { ms: 2000, heap: 150, change: 20 }

const report = new Report()
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const short = text('short')
const whole = await fromText(short, { apart: false })
await besideYaml(short, whole)
await fromText(short, { apart: true })
const changed = [await afterChange(short), await afterChange(text('short', { together: true }))]
if (!quick) {
  const long = text('long')
  await besideYaml(long, await fromText(long, { apart: false }))
  judge(whole, changed)
}
report.note(
  `Each figure is the median of ${RUNS} processes that start, load once, and end: nothing is warm. Times are processor ` +
    'time, of all threads: what it takes on one core that nobody else uses. The heap is what is ' +
    'left after a forced collection, with the mesh, the deciders and what finds positions again still held.',
)
report.print(output)

/** A mesh as a file; short policies have a field or two, long ones many fields with several values. */
function text(size, { together = false } = {}) {
  const documents = mesh(COUNT, { size, together })
  const content = yaml(documents)
  const file = path.join(folder, `${size}-${documents.length}.yaml`)
  writeFileSync(file, content)
  const name = `${COUNT.toLocaleString('en')} ${size} policies ${together ? 'of one workload ' : ''}(${(content.length / MB).toFixed(1)} MB)`
  return { file, name, documents: documents.length }
}

/** From text to the deciders of all workloads. */
async function fromText({ file, name }, { apart }) {
  const what = `${name}${apart ? ', a text each' : ''}`
  const runs = await repeat(what, './load/own.job.mjs', { file, apart })
  const [{ times, policies, deciders }] = runs
  if (policies !== COUNT) throw new Error(`${policies} policies were loaded, not ${COUNT}`)
  const total = median(runs.map((run) => Object.values(run.times).reduce((sum, ms) => sum + ms)))
  const heap = median(runs.map((run) => run.heap)) / MB
  const stages = Object.keys(times).map((stage) => [stage, median(runs.map((run) => run.times[stage]))])
  for (const [stage, ms] of stages) row(`${what}: ${stage}`, ms, 'ms')
  row(`${what}: from text to ${deciders} deciders`, total, 'ms')
  row(`${what}: heap`, heap, 'MB')
  return { what, stages: Object.fromEntries(stages), total, heap }
}

/** One document of the text changes while everything is loaded: to the decider of the workload that it is about. */
async function afterChange({ file, name }) {
  const what = `${name}, one document changed`
  const runs = (await repeat(what, './load/change.job.mjs', { file, changes: quick ? 3 : 50 })).flatMap(
    (run) => run.times,
  )
  for (const stage of Object.keys(runs[0])) row(`${what}: ${stage}`, median(runs.map((times) => times[stage])), 'ms')
  const total = median(runs.map((times) => Object.values(times).reduce((sum, ms) => sum + ms)))
  row(`${what}: from text to decider`, total, 'ms')
  return { what, total }
}

/** What a program that uses the library would pay before it knows a single policy. */
async function besideYaml({ file, name, documents }, ours) {
  for (const [form, peer] of [
    ['js', 'yaml, to JavaScript'],
    ['cst', 'yaml, its CST only'],
  ]) {
    const runs = await repeat(`${name}, ${peer}`, './load/yaml.job.mjs', { file, form })
    const found = runs[0].documents
    if (found !== documents) throw new Error(`${peer} finds ${found} documents, not ${documents}`)
    const ms = median(runs.map((run) => run.ms))
    row(`${name}: parse`, ours.stages.parse, 'ms', peer, ms)
    row(`${name}: from text to deciders`, ours.total, 'ms', peer, ms)
    if (form === 'js') row(`${name}: heap`, ours.heap, 'MB', peer, median(runs.map((run) => run.heap)) / MB)
  }
}

/** Says where a goal is missed, by how much, and on what the time goes. */
function judge({ what, stages, total, heap }, changed) {
  const list = Object.entries(stages).map(([stage, ms]) => `${stage} ${figure(ms)}`)
  if (total >= GOAL.ms) {
    report.note(`Falls short: ${what}: ${figure(total)} ms instead of ${GOAL.ms}. Of these: ${list.join(', ')}.`)
  }
  if (heap >= GOAL.heap) report.note(`Falls short: ${what}: a heap of ${figure(heap)} MB instead of ${GOAL.heap}.`)
  for (const one of changed.filter((each) => each.total >= GOAL.change)) {
    report.note(`Falls short: ${one.what}: ${figure(one.total)} ms instead of ${GOAL.change}.`)
  }
}

async function repeat(what, job, task) {
  process.stderr.write(`  ${what} ...\n`)
  const runs = []
  while (runs.length < RUNS) runs.push(await must(job, task, { seconds: 120 }))
  for (const { share } of runs) report.given(share)
  return runs
}

function row(what, ours, unit, peer = null, theirs = null) {
  report.add({ what, ours, unit, ...(peer === null ? {} : { peer, theirs }) })
}
