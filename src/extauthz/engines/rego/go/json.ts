import { printJson } from '../text.ts'
import { isArray, isObject, RegoSet, type RegoValue, sortedEntries, sortedItems } from '../value.ts'

export interface Indentation {
  /** Begins every line but the first. */
  readonly prefix: string
  /** Stands for each level. */
  readonly indent: string
}

/**
 * Writes JSON as Go's encoder does, which what is signed or hashed may depend on: members in order, and the characters
 * that mean something in HTML escaped.
 */
export function printGoJson(value: RegoValue, lines: Indentation | null = null): string {
  return print(value, lines, 1)
}

function print(value: RegoValue, lines: Indentation | null, depth: number): string {
  if (value instanceof RegoSet) return collection('[', sortedItems(value), ']', (item) => print(item, lines, depth + 1))
  if (isArray(value)) return collection('[', value, ']', (item) => print(item, lines, depth + 1))
  if (isObject(value)) {
    const colon = lines === null ? ':' : ': '
    return collection('{', sortedEntries(value), '}', ([key, item]) => {
      const name = typeof key === 'string' ? key : printJson(key)
      return `${escapeHtml(printJson(name))}${colon}${print(item, lines, depth + 1)}`
    })
  }
  return escapeHtml(printJson(value))

  function collection<T>(open: string, items: readonly T[], close: string, each: (item: T) => string): string {
    if (items.length === 0) return open + close
    if (lines === null) return `${open}${items.map(each).join(',')}${close}`
    const newLine = (level: number) => `\n${lines.prefix}${lines.indent.repeat(level)}`
    return `${open}${newLine(depth)}${items.map(each).join(`,${newLine(depth)}`)}${newLine(depth - 1)}${close}`
  }
}

function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
