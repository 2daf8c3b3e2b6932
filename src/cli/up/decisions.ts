import type { DecisionLogEntry } from '../../proxy/decision-log.ts'
import type { Args } from '../command.ts'
import type { Io } from '../io.ts'
import { type Style, style } from '../style.ts'

/** Bytes of decisions that may wait for a slow reader; beyond them lines are left out and counted. */
const MOST_WAITING = 16 * 1024 * 1024

/** Writes the decision log to stdout: an object a line, or a line for people. */
export function decisionWriter(args: Args, io: Io): (entry: DecisionLogEntry) => void {
  const format = args.value('output') ?? (io.terminal ? 'text' : 'json')
  const paint = style(io.color.stdout && !args.flag('no-color'))
  const write = lineWriter(io)
  let waiting = ''
  let dropped = 0
  // Those of one turn are one write: a system call for each would cost as much as a decision.
  const flush = () => {
    write(waiting, dropped)
    waiting = ''
    dropped = 0
  }
  return (entry) => {
    if (waiting === '' && dropped === 0) setImmediate(flush)
    if (io.backlog() + waiting.length > MOST_WAITING) dropped++
    else waiting += format === 'json' ? `${JSON.stringify(entry)}\n` : textLine(entry, paint)
  }
}

/** Writes whole lines to stdout; `dropped` is how many were left out where they were made, before them. */
export function lineWriter(io: Io): (lines: string, dropped: number) => void {
  let missing = 0
  return (lines, dropped) => {
    missing += dropped
    if (io.backlog() > MOST_WAITING) {
      missing += lines.split('\n').length - 1
      return
    }
    if (missing > 0) {
      io.stderr(`${missing} decisions were not written: stdout is read too slowly\n`)
      missing = 0
    }
    if (lines !== '') io.stdout(lines)
  }
}

function textLine(entry: DecisionLogEntry, paint: Style): string {
  const { decision, request, responseStatus, policy, provider, details, workload } = entry
  const verdict = decision === 'allow' ? paint.green('allow') : paint.red('deny ')
  const what = request.method === undefined ? 'TCP' : `${request.method} ${request.path}`
  const who = request.source.principal ?? request.source.ip
  const why = [
    policy === null ? null : `policy ${policy}`,
    provider === undefined ? null : `provider ${provider}`,
    details !== null && policy === null ? details : null,
    entry.audit ? 'audit' : null,
  ].filter((part) => part !== null)
  return `${verdict} ${responseStatus ?? '-'} ${what}  ${paint.dim(`${workload} from ${who}${why.length > 0 ? `; ${why.join(', ')}` : ''}`)}\n`
}
