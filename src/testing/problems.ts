import type { Fields, Logger } from '../observe/log.ts'

/** Keeps what a judge has to tell. */
export interface Problems {
  readonly logger: Logger
  /** One line for each thing, or null. */
  text(): string | null
}

export function createProblems(): Problems {
  const lines: string[] = []
  const note = (message: string, fields: Fields = {}) => {
    const said = Object.values(fields).map((value) => (Array.isArray(value) ? value.join('\n    ') : String(value)))
    lines.push([message, ...said].join(': '))
  }
  return {
    // Only at level debug it says what an exception said, which a log in production must not show.
    logger: { level: 'debug', debug: note, info() {}, warn: note, error: note },
    text: () => (lines.length === 0 ? null : lines.join('\n')),
  }
}
