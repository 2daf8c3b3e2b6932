import type { Diagnostic } from './diagnostic.ts'
import { diagnostic } from './diagnostic.ts'
import type { Path, SourceDocument } from './document.ts'
import { fromProblem } from './problem.ts'
import { TextDocument } from './text-document.ts'
import { valueAt } from './value.ts'
import { parseStream } from './yaml/stream.ts'

/**
 * Parses the YAML text inside the string at `path`, such as a ConfigMap's `data.mesh`, as a document of its own whose
 * positions are those of the outer file: exact for literal blocks (`|`) and one-line text, at worst the start of the
 * string. Null when the text cannot be read (then there are diagnostics) or is empty.
 */
export function embedded(
  document: SourceDocument,
  path: Path,
): { document: SourceDocument | null; diagnostics: Diagnostic[] } {
  const text = valueAt(document.value, path)
  if (typeof text !== 'string') {
    return { document: null, diagnostics: [diagnostic('SP104', { document, path }, 'expected YAML text')] }
  }
  const { documents, problems } = parseStream(text)
  const diagnostics = problems.map((problem) => {
    const inside = document instanceof TextDocument
    const at = inside ? document.locateInside(path, problem.offset) : document.locate(path, 'value')
    return fromProblem(document.file, problem, at)
  })
  const first = documents[0]
  if (documents.length > 1) {
    diagnostics.push(diagnostic('SP002', { document, path }, 'the text must hold one YAML document, not several'))
  }
  if (first === undefined || diagnostics.length > 0) return { document: null, diagnostics }
  const inner: SourceDocument =
    document instanceof TextDocument
      ? document.inner(path, first.value)
      : { ...document, value: first.value, locate: (rest, at) => document.locate([...path, ...rest], at) }
  return { document: inner, diagnostics }
}
