import type { Scalar } from 'yaml'

/**
 * Where a character of a scalar's value stands in the text that the scalar was read from: exact for literal blocks, for
 * double-quoted text on one line and for text that stands as it is; otherwise the start of the scalar.
 */
export function outerOffset(text: string, scalar: Scalar.Parsed, inner: number): number {
  const start = scalar.range[0]
  switch (scalar.type) {
    case 'BLOCK_LITERAL':
      return inLiteral(text, scalar, inner)
    case 'QUOTE_DOUBLE':
      return inDoubleQuoted(text, scalar, inner)
    case 'QUOTE_SINGLE':
      return text.startsWith(scalar.source, start + 1) ? start + 1 + inner : start
    case 'PLAIN':
      return text.startsWith(scalar.source, start) ? start + inner : start
    default:
      return start
  }
}

/** Each line of the value is a line of the text behind its indentation; the first follows the header. */
function inLiteral(text: string, scalar: Scalar.Parsed, inner: number): number {
  const value = scalar.source
  let outerLine = text.indexOf('\n', scalar.range[0]) + 1
  let innerLine = 0
  for (let next = value.indexOf('\n') + 1; next !== 0 && next <= inner; next = value.indexOf('\n', next) + 1) {
    innerLine = next
    const following = text.indexOf('\n', outerLine) + 1
    if (following === 0) return scalar.range[0]
    outerLine = following
  }
  const indent = lineAt(text, outerLine).length - lineAt(value, innerLine).length
  return outerLine + Math.max(indent, 0) + (inner - innerLine)
}

function lineAt(text: string, start: number): string {
  const end = text.indexOf('\n', start)
  return text.slice(start, end === -1 ? text.length : end).replace(/\r$/, '')
}

function inDoubleQuoted(text: string, scalar: Scalar.Parsed, inner: number): number {
  const start = scalar.range[0]
  if (text.slice(start, scalar.range[1]).includes('\n')) return start
  let at = start + 1
  for (let read = 0; read < inner; read++) {
    if (text[at] !== '\\') at++
    else at += escapeLengths[text[at + 1] ?? ''] ?? 2
  }
  return at
}

/** RFC 8259 and YAML escapes that are longer than a backslash and a letter. */
const escapeLengths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 }
