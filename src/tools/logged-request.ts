import { type Fields, object } from './request-fields.ts'

/** A request's fields as they are read, and what is to be said about them. */
export interface Unlogged {
  readonly fields: Fields
  readonly notes: readonly string[]
}

/** The fields of a request, of which a line of the decision log has the decision around it. */
export function unlogged(outer: Fields): Unlogged {
  if (outer.request === undefined || outer.decision === undefined) return { fields: outer, notes: [] }
  const logged = object(outer.request, '`request`')
  const path = uncut(logged.path)
  const headers = Array.isArray(logged.headers)
    ? logged.headers.map((line: unknown) => (Array.isArray(line) ? line.map(uncut) : line))
    : logged.headers
  const cut = path !== logged.path || JSON.stringify(headers) !== JSON.stringify(logged.headers)
  return {
    fields: {
      ...(outer.id === undefined ? {} : { id: outer.id }),
      ...logged,
      ...(path === undefined ? {} : { path }),
      ...(headers === undefined ? {} : { headers }),
    },
    notes: cut ? ['a long value was cut by the log: a condition on it may be decided otherwise'] : [],
  }
}

/** The log ends what it cuts in an ellipsis, which no header and no target can hold. */
function uncut(value: unknown): unknown {
  return typeof value === 'string' && value.endsWith('…') ? value.slice(0, -1) : value
}
