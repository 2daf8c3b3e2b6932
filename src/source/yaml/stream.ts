import type { Json } from '../document.ts'
import { limits } from '../limits.ts'
import { compose } from './compose.ts'
import { convert } from './convert.ts'
import type { Problem } from './problem.ts'
import { split } from './split.ts'

/** One document of a text. Offsets count within its own part of the text. */
export interface ParsedDocument {
  readonly value: Json
  /** The offset of its content. */
  readonly root: number
}

/** What the part of a text that holds one document comes to. */
export interface ParsedChunk {
  /** Null where there is none: nothing but comments, or nothing that can be read (then there are problems). */
  readonly document: ParsedDocument | null
  readonly problems: readonly Problem[]
}

const NOTHING: ParsedChunk = { document: null, problems: [] }

/** Parses a part that `split` cut. Nothing outside this folder knows which library reads YAML. */
export function parseChunk(text: string): ParsedChunk {
  if (text.length > limits.documentLength) {
    return { document: null, problems: [tooLong('the document', limits.documentLength)] }
  }
  if (isBareMarker(text)) return NOTHING
  const tree = compose(text)
  const { value, problems } = convert(tree)
  if (tree.problems.length > 0 || problems.length > 0) {
    return { document: null, problems: [...tree.problems, ...problems] }
  }
  if (tree.root === null || isEmpty(tree.root)) return NOTHING
  return { document: { value, root: tree.root.range[0] }, problems: [] }
}

/** Parses a text as a stream of documents; the offsets of problems are those of the text. */
export function parseStream(text: string): {
  readonly documents: readonly ParsedDocument[]
  readonly problems: readonly Problem[]
} {
  const documents: ParsedDocument[] = []
  const problems: Problem[] = []
  for (const { start, end } of split(text)) {
    const chunk = parseChunk(text.slice(start, end))
    if (chunk.document !== null) documents.push(chunk.document)
    for (const problem of chunk.problems) problems.push({ ...problem, offset: start + problem.offset })
  }
  return { documents, problems }
}

function isBareMarker(chunk: string): boolean {
  return chunk.length < 8 && /^(?:---|\.\.\.)?\s*$/.test(chunk)
}

/** A document of comments only: an empty scalar that was not written. */
function isEmpty(root: { readonly range: readonly number[]; readonly tag?: string }): boolean {
  return root.range[0] === root.range[1] && root.tag === undefined
}

export function tooLong(what: string, limit: number): Problem {
  const message = `${what} is longer than ${limit / (1024 * 1024)} MiB`
  return { code: 'SP003', offset: 0, message, help: 'split it into several files or documents' }
}
