import type { Fields, Logger } from '../../observe/log.ts'

/** What an authorizer that was given no logger says: warnings and errors, on the console. */
export const consoleLogger: Logger = {
  level: 'warn',
  debug: () => {},
  info: () => {},
  warn: (message, fields) => console.warn(print(message, fields)),
  error: (message, fields) => console.error(print(message, fields)),
}

function print(message: string, fields: Fields = {}): string {
  return `sallyport authorizer: ${message} ${JSON.stringify(fields)}`
}
