import type { HeaderMap } from '../match/header-map.ts'
import type { HeaderChange } from './check.ts'
import { isFramingHeader, isHeaderName, isHeaderValue } from './header-syntax.ts'

/** Envoy's default bounds for a message's headers: 100 lines, 60 KiB of names and values. */
const maxLines = 100
const maxBytes = 60 * 1024

/**
 * Applies an authorizer's changes in the order of the list; framing headers are left as they are. Returns false when a
 * change cannot be written as HTTP, or when the result has more than 100 lines or 60 KiB of names and values: then the
 * message must not be sent on (Envoy answers 500).
 */
export function applyChanges(headers: HeaderMap, changes: readonly HeaderChange[]): boolean {
  for (const change of changes) {
    if (isFramingHeader(change.name.toLowerCase())) continue
    if (!isHeaderName(change.name) || (change.kind !== 'remove' && !isHeaderValue(change.value))) return false
    apply(headers, change)
  }
  return changes.length === 0 || withinLimits(headers)
}

function apply(headers: HeaderMap, change: HeaderChange): void {
  switch (change.kind) {
    case 'set':
      headers.set(change.name, change.value)
      return
    case 'join':
      join(headers, change.name.toLowerCase(), change.value)
      return
    case 'add':
      headers.append(change.name, change.value)
      return
    case 'addIfAbsent':
      if (!headers.has(change.name.toLowerCase())) headers.append(change.name, change.value)
      return
    case 'setIfPresent':
      if (headers.has(change.name.toLowerCase())) headers.set(change.name, change.value)
      return
    case 'remove':
      headers.delete(change.name)
      return
    default:
      change satisfies never
  }
}

/** Onto the first line; the other lines of the name stay. */
function join(headers: HeaderMap, name: string, value: string): void {
  const [first, ...rest] = headers.all(name)
  // Envoy appends nothing where the value is empty.
  if (first === undefined || value === '') return
  headers.set(name, first === '' ? value : first + (name === 'cookie' ? '; ' : ',') + value)
  for (const line of rest) headers.append(name, line)
}

function withinLimits(headers: HeaderMap): boolean {
  if (headers.size > maxLines) return false
  let bytes = 0
  for (let i = 0; i < headers.size; i++) bytes += headers.nameAt(i).length + headers.valueAt(i).length
  return bytes <= maxBytes
}
