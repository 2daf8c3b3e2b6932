/** A part of a text that holds one document, by offsets. */
export interface Chunk {
  readonly start: number
  readonly end: number
}

/**
 * Cuts a stream at its document markers. `---` or `...` at the start of a line can stand nowhere else in YAML, not even
 * inside a scalar (YAML 1.2, c-forbidden), so that documents can be parsed, and fail, one by one. `from` is where to
 * start: the beginning, or where a part of this text starts. What comes out depends on nothing before it.
 */
export function* split(text: string, from = 0): Generator<Chunk> {
  let start = from === 0 && text.charCodeAt(0) === 0xfeff ? 1 : from
  let at = start
  let directives = false
  while (at < text.length) {
    if (text.charCodeAt(at) === 0x25 /* % */) {
      // A directive belongs to the document whose marker follows, unless it is a line of a plain scalar.
      directives ||= blank(text, start, at)
    } else if (marker(text, at, '---')) {
      if (directives) directives = false
      else {
        if (at > start) yield { start, end: at }
        start = at
      }
    } else if (marker(text, at, '...')) {
      const end = lineEnd(text, at)
      yield { start, end }
      start = end
      directives = false
    }
    at = nextCandidate(text, at)
  }
  if (start < text.length) yield { start, end: text.length }
}

/** The next line that starts with one of the characters that matter. */
function nextCandidate(text: string, from: number): number {
  for (let at = text.indexOf('\n', from); at !== -1; at = text.indexOf('\n', at + 1)) {
    const c = text.charCodeAt(at + 1)
    if (c === 0x2d || c === 0x2e || c === 0x25) return at + 1
  }
  return text.length
}

function marker(text: string, at: number, mark: string): boolean {
  if (!text.startsWith(mark, at)) return false
  const after = text.charCodeAt(at + 3)
  return Number.isNaN(after) || after === 0x20 || after === 0x09 || after === 0x0a || after === 0x0d
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end + 1
}

/** Whether there is nothing but blank lines and comments between two offsets. */
function blank(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at = lineEnd(text, at)) {
    const line = text.slice(at, Math.min(lineEnd(text, at), end)).trimStart()
    if (line !== '' && !line.startsWith('#')) return false
  }
  return true
}
