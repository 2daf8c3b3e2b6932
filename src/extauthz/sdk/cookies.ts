import { BadRequest } from '../server/bad-request.ts'
import type { AuthorizerRequest } from '../server/request.ts'

/** The cookies of a request. Names are compared as they are; values are as they were sent, without their quotes. */
export interface Cookies {
  /** All names, each once, in order. */
  readonly names: readonly string[]
  /**
   * Undefined when there is none. Throws `BadRequest` (400) when the name comes with several values, or when its value
   * has a comma, where a proxy may have joined lines.
   */
  get(name: string): string | undefined
  /** Throws as `get` does. */
  has(name: string): boolean
}

/**
 * Reads the cookies (RFC 6265, section 4.2). Most proxies join several lines of `cookie` with a comma before they ask,
 * while the application gets them apart: `a=1,b=2` may be one cookie or two. So it throws `BadRequest` (400) when there
 * is a comma with a `=` behind it in the same cookie. Lines that the proxy keeps apart are read one after the other.
 */
export function cookies(request: Pick<AuthorizerRequest, 'headers' | 'headerLines'>): Cookies {
  const found = new Map<string, string[]>()
  if (request.headers.cookie !== undefined) {
    for (const [name, value] of request.headerLines) if (name === 'cookie') readLine(value, found)
  }
  return new Jar(found)
}

class Jar implements Cookies {
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  get names(): readonly string[] {
    return [...this.#values.keys()]
  }

  get(name: string): string | undefined {
    const values = this.#values.get(name)
    if (values === undefined) return undefined
    const [first] = values
    if (values.some((value) => value !== first)) throw new BadRequest('a cookie comes with several values')
    if (first?.includes(',')) throw new BadRequest('a cookie has a comma, and may be two')
    return first
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }
}

function readLine(line: string, found: Map<string, string[]>): void {
  for (const part of line.split(';')) {
    const equals = part.indexOf('=')
    if (equals === -1) continue
    const comma = part.indexOf(',')
    if (comma !== -1 && part.indexOf('=', comma) !== -1) throw new BadRequest('lines of cookies have been joined')
    const name = part.slice(0, equals).trim()
    const value = unquote(part.slice(equals + 1).trim())
    const values = found.get(name)
    if (values === undefined) found.set(name, [value])
    else values.push(value)
  }
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}
