/** What Go counts as printable: letters, marks, numbers, punctuation, symbols, and the ASCII space. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

export function isPrintable(char: string): boolean {
  return printable.test(char)
}

const named: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
}

/** A text as a literal of Go. `ascii`: with everything else escaped. */
export function quote(text: string, mark: '"' | "'" = '"', ascii = false): string {
  let quoted = mark
  for (const char of text) quoted += escaped(char, mark, ascii)
  return quoted + mark
}

function escaped(char: string, mark: string, ascii: boolean): string {
  if (char === mark) return `\\${mark}`
  const name = named[char]
  if (name !== undefined) return name
  const code = char.codePointAt(0) as number
  if (ascii ? code >= 0x20 && code < 0x7f : isPrintable(char)) return char
  if (code < 0x80) return `\\x${hex(code, 2)}`
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
}

function hex(code: number, length: number): string {
  return code.toString(16).padStart(length, '0')
}
