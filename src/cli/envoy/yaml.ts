/** What JSON can hold. */
type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value | undefined }

/**
 * Block style YAML of plain data, an item of it at a time: a configuration of ten thousand policies is tens of megabytes.
 * Text is plain where nobody could take it for something else, else in double quotes, which JSON's are.
 */
export function printYaml(value: object): string {
  const lines: string[] = []
  write(value as Value, '', '', lines)
  return `${lines.join('\n')}\n`
}

/** `lead` stands before the first line, `indent` before the others. */
function write(value: Value, lead: string, indent: string, lines: string[]): void {
  if (isList(value)) {
    for (const item of value) {
      if (isEmptyOrScalar(item)) lines.push(`${lead}- ${scalar(item)}`)
      else write(item, `${lead}- `, `${indent}  `, lines)
      lead = indent
    }
    return
  }
  if (typeof value !== 'object' || value === null) {
    lines.push(`${lead}${scalar(value)}`)
    return
  }
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue
    const name = `${lead}${text(key)}:`
    if (isEmptyOrScalar(item)) lines.push(`${name} ${scalar(item)}`)
    else {
      lines.push(name)
      // A list stands at its key's own indentation.
      const inner = isList(item) ? indent : `${indent}  `
      write(item, inner, inner, lines)
    }
    lead = indent
  }
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function isEmptyOrScalar(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.keys(value).length === 0
}

function scalar(value: Value): string {
  if (typeof value === 'string') return text(value)
  if (isList(value)) return '[]'
  return typeof value === 'object' && value !== null ? '{}' : String(value)
}

/** Neither a number, a date, a boolean, a null, nor anything with a mark of YAML in it. */
const PLAIN = /^[A-Za-z_/][A-Za-z0-9_./-]*$/
const WORDS = /^(?:true|false|yes|no|on|off|null|y|n)$/i

function text(value: string): string {
  if (PLAIN.test(value) && !WORDS.test(value)) return value
  // YAML has fewer printable characters than JSON.
  return JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
