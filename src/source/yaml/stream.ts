import type { Json } from '../document.ts'
import { limits } from '../limits.ts'
import { compose } from './compose.ts'
import { convert } from './convert.ts'
import type { Problem } from './problem.ts'
import { split } from './split.ts'

/** One document of a text. */
export interface ParsedDocument {
  readonly value: Json
  /** The document's part of the text, by offsets. */
  readonly start: number
  readonly end: number
  /** The offset of its content. */
  readonly root: number
}

/**
 * Parses a text as a stream of YAML documents (JSON is one form of it). The documents that are good come out whatever is
 * wrong with others. Nothing outside this folder knows which library reads YAML.
 */
export function parseStream(text: string): {
  readonly documents: readonly ParsedDocument[]
  readonly problems: readonly Problem[]
} {
  const documents: ParsedDocument[] = []
  const problems: Problem[] = []
  if (text.length > limits.textLength) {
    return { documents, problems: [tooLong('the text', 0, limits.textLength)] }
  }
  let chunks = 0
  for (const { start, end } of split(text)) {
    if (++chunks > limits.documents) {
      problems.push({ code: 'SP003', offset: start, message: `there are more than ${limits.documents} documents` })
      break
    }
    if (end - start > limits.documentLength) {
      problems.push(tooLong('the document', start, limits.documentLength))
      continue
    }
    const chunk = text.slice(start, end)
    if (isBareMarker(chunk)) continue
    const tree = compose(chunk)
    const converted = convert(tree)
    for (const problem of [...tree.problems, ...converted.problems]) {
      problems.push({ ...problem, offset: start + problem.offset })
    }
    if (tree.problems.length > 0 || converted.problems.length > 0) continue
    if (tree.root === null || isEmpty(tree.root)) continue
    documents.push({ value: converted.value, start, end, root: start + tree.root.range[0] })
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

function tooLong(what: string, offset: number, limit: number): Problem {
  const message = `${what} is longer than ${limit / (1024 * 1024)} MiB`
  return { code: 'SP003', offset, message, help: 'split it into several files or documents' }
}
