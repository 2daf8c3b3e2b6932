/** Severity of a log line; a line below the logger's level costs one comparison. */
export type Level = 'debug' | 'info' | 'warn' | 'error'

/** Fields are written as JSON; callers never put secrets in them (see `mask.ts` for headers and targets). */
export type Fields = Readonly<Record<string, unknown>>

export interface Logger {
  readonly level: Level
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

export interface LoggerOptions {
  /** The least severe level that is written. */
  readonly level: Level
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** `text` for people, `json` for one object a line with `time`, `level`, `message` and the fields. */
  readonly format: 'text' | 'json'
}

const ranks: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** Longest text that one message or field may bring into the log; what is longer ends in an ellipsis. */
const TEXT_LIMIT = 4096

export function createLogger(options: LoggerOptions): Logger {
  const least = ranks[options.level]
  const print = options.format === 'json' ? asJson : asText
  const at = (level: Level): Logger['info'] => {
    if (ranks[level] < least) return () => {}
    return (message, fields) => {
      options.write(print(new Date(options.now()).toISOString(), level, message, fields))
    }
  }
  return { level: options.level, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function asJson(time: string, level: Level, message: string, fields: Fields | undefined): string {
  let line = `{"time":"${time}","level":"${level}","message":${JSON.stringify(cut(message))}`
  for (const [name, value] of Object.entries(fields ?? {})) {
    // The line's own names win, or a field could forge them.
    if (value === undefined || name === 'time' || name === 'level' || name === 'message') continue
    line += `,${JSON.stringify(name)}:${valueText(value)}`
  }
  return `${line}}\n`
}

function asText(time: string, level: Level, message: string, fields: Fields | undefined): string {
  let line = `${time} ${level.padEnd(5)} ${printable(cut(message))}`
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue
    line += ` ${printable(name)}=${typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? cut(value) : valueText(value)}`
  }
  return `${line}\n`
}

/** JSON on one line. What JSON has no form for is told in words: a log line is never worth an exception. */
function valueText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(cut(value.message))
  if (typeof value === 'string') return JSON.stringify(cut(value))
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch {
    return '"[not printable]"'
  }
  if (text === undefined) return '"[not printable]"'
  return text.length <= TEXT_LIMIT ? text : JSON.stringify(cut(text))
}

/** Keeps a line one line, and a terminal unharmed, whatever a peer put into a message. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function cut(text: string): string {
  return text.length <= TEXT_LIMIT ? text : `${text.slice(0, TEXT_LIMIT)}…`
}
