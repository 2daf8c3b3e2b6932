import type { Diagnostic } from './diagnostic.ts'
import { diagnostic } from './diagnostic.ts'
import type { SourceDocument } from './document.ts'
import { limits } from './limits.ts'
import type { Parsed } from './parse.ts'
import { fromProblem } from './problem.ts'
import { commonPrefix, commonSuffix } from './same-ends.ts'
import { type FilePart, inFile, TextDocument } from './text-document.ts'
import { Locator } from './yaml/locator.ts'
import type { Problem } from './yaml/problem.ts'
import { split } from './yaml/split.ts'
import { parseChunk, tooLong } from './yaml/stream.ts'

/** A part of the file with what it came to. */
interface Part {
  readonly place: FilePart
  readonly document: SourceDocument | null
  readonly problems: readonly Problem[]
}

/**
 * A file that changes. What `parse` gives is what `parseSource` gives, but documents whose text is the same as the last
 * time are the same objects (with their new positions), so that whoever keeps something for each document keeps it. Takes
 * time in proportion to what changed, but for a comparison of the texts.
 */
export class SourceFile {
  readonly #file: string
  readonly #locator = new Locator()
  #text = ''
  #parts: readonly Part[] = []

  constructor(file: string) {
    this.#file = file
  }

  parse(text: string): Parsed {
    if (text.length > limits.textLength) {
      this.#text = ''
      this.#parts = []
      const problem = tooLong('the text', limits.textLength)
      return { documents: [], diagnostics: [fromProblem(this.#file, problem, { line: 1, column: 1 })] }
    }
    const parts = this.#update(text)
    this.#text = text
    this.#parts = parts.slice(0, limits.documents)
    const documents: SourceDocument[] = []
    const diagnostics: Diagnostic[] = []
    for (const { place, document, problems } of this.#parts) {
      if (document !== null) documents.push(document)
      for (const problem of problems) {
        const at = inFile(place, this.#locator.position(place, problem.offset))
        diagnostics.push(fromProblem(this.#file, problem, at))
      }
    }
    const surplus = parts[limits.documents]
    if (surplus !== undefined) {
      const at = { file: this.#file, line: surplus.place.linesBefore + 1, column: 1 }
      diagnostics.push(diagnostic('SP003', at, `there are more than ${limits.documents} documents`))
    }
    return { documents, diagnostics }
  }

  /** The parts of `text`, at least one more than may be, if there are. Those of the text before stay what they are. */
  #update(text: string): readonly Part[] {
    const before = this.#parts
    const sameStart = Math.max(partsBefore(before, commonPrefix(this.#text, text)) - BACK, 0)
    const tail = new Tail(before, sameStart, this.#text, text)
    const between = indexesByText(before, sameStart, tail.first + BACK)
    const parts = before.slice(0, sameStart)
    const last = parts.at(-1)?.place
    let start = last === undefined ? 0 : last.start + last.text.length
    let line = last === undefined ? 0 : last.linesBefore + last.lines
    let used = sameStart
    for (const chunk of split(text, start)) {
      start = chunk.start
      const own = text.slice(start, chunk.end)
      const index = between.get(own)?.shift()
      if (index !== undefined) used = Math.max(used, index + 1)
      // A slice keeps the whole text in memory, also when only this document is left of it: hence a copy.
      const part = before[index ?? -1] ?? this.#parsePart(before.length === 0 ? own : copyOf(own))
      const rest = parts.length === limits.documents ? [] : tail.from(chunk.end, used)
      for (const next of [part, ...(rest ?? [])]) {
        next.place.start = start
        next.place.linesBefore = line
        start += next.place.text.length
        line += next.place.lines
        parts.push(next)
      }
      if (rest !== null) break
    }
    return parts
  }

  #parsePart(text: string): Part {
    const { document, problems } = parseChunk(text)
    const place: FilePart = { file: this.#file, text, lines: countLines(text), start: 0, linesBefore: 0 }
    if (document === null) return { place, document, problems }
    return { place, document: new TextDocument(place, this.#locator, document.root, document.value), problems }
  }
}

/**
 * Parts that are read again though they look the same: what follows tells where a part ends, and whether it starts with
 * a marker if it was the last of the file.
 */
const BACK = 2

/** How many parts end at or before an offset. */
function partsBefore(parts: readonly Part[], offset: number): number {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const { start, text } = (parts[middle] as Part).place
    if (start + text.length <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** The parts at the end of a text that are at the end of the next one too. */
class Tail {
  readonly #parts: readonly Part[]
  /** How far they have moved. */
  readonly #moved: number
  /** The index of the first of them. */
  readonly first: number

  /** Parts before `from` have their place already. */
  constructor(parts: readonly Part[], from: number, before: string, text: string) {
    this.#parts = parts
    this.#moved = text.length - before.length
    const start = before.length - commonSuffix(before, text)
    this.first = Math.max(startingFrom(parts, start), from)
  }

  /**
   * All parts from an offset of the new text on, if they are there as before: what `split` makes of a text from the start
   * of a part depends on nothing before it. Null also if one of them is among the first `used`, which may have their
   * place already.
   */
  from(offset: number, used: number): readonly Part[] | null {
    const index = startingFrom(this.#parts, offset - this.#moved)
    if (index < this.first || index < used) return null
    return this.#parts[index]?.place.start === offset - this.#moved ? this.#parts.slice(index) : null
  }
}

/** The index of the first part that starts at or after an offset. */
function startingFrom(parts: readonly Part[], offset: number): number {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((parts[middle] as Part).place.start < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** The indexes of parts, from `from` to `to`, by their text. */
function indexesByText(parts: readonly Part[], from: number, to: number): Map<string, number[]> {
  const indexes = new Map<string, number[]>()
  for (const [i, { place }] of parts.slice(from, to).entries()) {
    const same = indexes.get(place.text)
    if (same === undefined) indexes.set(place.text, [from + i])
    else same.push(from + i)
  }
  return indexes
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all that one byte holds.
const oneByte = /^[\x00-\xff]*$/

function copyOf(text: string): string {
  const encoding = oneByte.test(text) ? 'latin1' : 'utf16le'
  return Buffer.from(text, encoding).toString(encoding)
}
