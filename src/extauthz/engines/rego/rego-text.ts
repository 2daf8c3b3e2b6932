import { quote } from './go/quote.ts'
import {
  isArray,
  isNumber,
  isObject,
  numberText,
  RegoSet,
  type RegoValue,
  sortedEntries,
  sortedItems,
} from './value.ts'

/** A value as OPA shows it to people: as in a policy, with members and items in order. */
export function showValue(value: RegoValue): string {
  if (typeof value === 'string') return quote(value)
  if (isNumber(value)) return numberText(value)
  if (value instanceof RegoSet) {
    return value.items.length === 0 ? 'set()' : `{${sortedItems(value).map(showValue).join(', ')}}`
  }
  if (isArray(value)) return `[${value.map(showValue).join(', ')}]`
  if (isObject(value)) {
    return `{${sortedEntries(value)
      .map((entry) => entry.map(showValue).join(': '))
      .join(', ')}}`
  }
  return String(value)
}
