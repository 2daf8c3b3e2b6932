import { type IpAddress, parseSocketIp } from '../match/ip.ts'
import { suggest } from '../source/suggest.ts'

/** Thrown by these readers and caught where a request is decoded: what is wrong with one field. */
export class UnreadableField extends Error {}

export type Fields = Readonly<Record<string, unknown>>

export function fail(message: string): never {
  throw new UnreadableField(message)
}

export function object(value: unknown, where: string): Fields {
  const fine = typeof value === 'object' && value !== null && !Array.isArray(value)
  return fine ? (value as Fields) : fail(`${where} must be an object`)
}

/** A misspelt field is an error: it would otherwise decide about another request than was meant. */
export function known(value: Fields, fields: readonly string[], where: string): void {
  for (const name of Object.keys(value)) {
    if (fields.includes(name)) continue
    const close = suggest(name, fields)
    fail(`unknown field \`${name}\` in ${where}${close === null ? '' : `; did you mean \`${close}\`?`}`)
  }
}

/** Undefined when it is absent or null. */
export function string(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : fail(`${where} must be text`)
}

/** Text whose characters stand for bytes. */
export function bytes(value: unknown, where: string): string | undefined {
  const text = string(value, where)
  if (text === undefined) return undefined
  const at = text.search(/[^\0-\xff]/)
  if (at === -1) return text
  const written = JSON.stringify(Buffer.from(String.fromCodePoint(text.codePointAt(at) ?? 0)).toString('latin1'))
  return fail(`${where} holds a character that is no byte: write the bytes of its UTF-8 as Latin-1, ${written}`)
}

export function oneOf<T extends string>(value: unknown, choices: readonly T[], where: string): T | undefined {
  const text = string(value, where)
  if (text === undefined) return undefined
  return choices.find((choice) => choice === text) ?? fail(`${where} must be ${choices.join(' or ')}, not \`${text}\``)
}

/** Null when it is absent or null. */
export function integer(value: unknown, least: number, most: number, where: string): number | null {
  if (value === undefined || value === null) return null
  const fine = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
  return fine ? value : fail(`${where} must be a whole number from ${least} to ${most}`)
}

export function ip(text: string, where: string): IpAddress {
  return parseSocketIp(text) ?? fail(`${where} is no IP address: \`${text}\``)
}

/** RFC 9110's token. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export function headerLines(value: unknown, where: string): [string, string][] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return fail(`${where} must be a list of [name, value]`)
  return value.map((line: unknown, i) => {
    if (!Array.isArray(line) || line.length !== 2) return fail(`${where}[${i}] must be [name, value]`)
    const [name, text] = [string(line[0], `${where}[${i}][0]`), bytes(line[1], `${where}[${i}][1]`)]
    if (name === undefined || text === undefined) return fail(`${where}[${i}] must be [name, value]`)
    if (!TOKEN.test(name)) fail(`${where}[${i}] has no valid name`)
    return [name, text]
  })
}
