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
