import { MEASURED, shown } from './measure.mjs'

/** A run's result as one object, `result`, on standard output: as JSON, or as tables. */
export function print(result, output) {
  process.stdout.write(output === 'json' ? `${JSON.stringify(result)}\n` : text(result))
}

/** `{ seed, minutes, requests: [{ kind, .. }], events: [{ event, count }], resources: [..], notes, findings }`. */
export function resultOf({ seed, minutes, judge, events, before, after, bounds, notes }) {
  const requests = [...judge.counts].map(([kind, counts]) => ({ kind, ...counts }))
  const resources =
    before === null || after === null
      ? []
      : MEASURED.flatMap((program) =>
          Object.keys(bounds).map((what) => ({
            ...{ program, what, before: before.get(program)[what], after: after.get(program)[what] },
            most: before.get(program)[what] + bounds[what],
          })),
        )
  requests.sort((a, b) => (a.kind < b.kind ? -1 : 1))
  return {
    ...{ seed, minutes, requests, resources, notes, findings: judge.findings },
    events: [...events].map(([event, count]) => ({ event, count })).sort((a, b) => (a.event < b.event ? -1 : 1)),
  }
}

function text({ seed, minutes, requests, events, resources, notes, findings }) {
  const total = requests.reduce((sum, { count }) => sum + count, 0)
  const happened = events.reduce((sum, { count }) => sum + count, 0)
  return [
    table([
      ['traffic', 'count', 'allowed', 'refused', 'failed by a fault', 'no decision'],
      ...requests.map((one) => [one.kind, one.count, one.allowed, one.refused, one.failed, one.abandoned]),
    ]),
    table([['event', 'count'], ...events.map(({ event, count }) => [event, count])]),
    table([
      ['program', 'holds', 'before', 'after', 'most'],
      ...resources.map(({ program, what, before, after, most }) => [
        ...[program, what, shown(what, before), shown(what, after), shown(what, most)],
      ]),
    ]),
    ...notes.map((note) => `${note}\n`),
    ...findings.map((finding) => `FOUND (seed ${seed}) ${finding}\n`),
    `${findings.length} findings in ${total} requests and ${happened} events, seed ${seed}, ${minutes} minutes\n`,
  ].join('\n')
}

function table(rows) {
  const cells = rows.map((row) => row.map(String))
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)))
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, i) => (/^[\d.]+( MB)?$/.test(cell) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
