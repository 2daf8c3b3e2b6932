import type { Document, ParsedNode } from 'yaml'
import { Composer, isAlias, isMap, isSeq, Lexer, Parser } from 'yaml'
import { limits } from '../limits.ts'
import type { Problem } from './problem.ts'

/** One document as a tree of nodes whose ranges are offsets in the chunk that was composed. */
export interface Tree {
  /** Null for a document without content. */
  readonly root: ParsedNode | null
  /** What each alias stands for; an alias that stands for nothing is missing. */
  readonly aliases: ReadonlyMap<object, ParsedNode>
  readonly problems: readonly Problem[]
}

/** What YAML and go-yaml both refuse: control characters, and surrogates that are no pair. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const unprintable = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufeff\ufffe\uffff]/

const options = {
  schema: 'failsafe',
  // Checked where keys are converted: the library compares each key with every other one of its mapping.
  uniqueKeys: false,
  resolveKnownTags: false,
  prettyErrors: false,
} as const

/** Composes the text of one document. Never throws; takes time and memory in proportion to the text. */
export function compose(text: string): Tree {
  // The library makes an Error of each problem, and a text can have millions: a stack trace for each is most of the time.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return composeText(text)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function composeText(text: string): Tree {
  const bad = unprintable.exec(text)
  if (bad !== null) {
    const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    return failed({ code: 'SP002', offset: bad.index, message: `the control character U+${code} is not allowed` })
  }
  const parser = new Parser()
  const composer = new Composer(options)
  const documents: Document.Parsed[] = []
  let errorTokens = 0
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      if (token.type === 'error') errorTokens++
      documents.push(...composer.next(token))
    }
    if (errorTokens >= limits.problems) break
    if (++lexemes > limits.tokens) {
      const message = `the document holds more than ${limits.tokens} tokens`
      return failed({ code: 'SP003', offset: 0, message, help: 'split it into several documents' })
    }
    // The parser keeps open collections on a stack; the composer after it would use one call a level.
    if (parser.stack.length > limits.depth + STACK_BESIDE_COLLECTIONS) return failed(tooDeep(parser.offset))
  }
  for (const token of parser.end()) documents.push(...composer.next(token))
  documents.push(...composer.end())

  const errors = [...composer.streamInfo().errors, ...documents.flatMap((document) => document.errors)]
  if (errors.length > 0) {
    errors.sort((a, b) => a.pos[0] - b.pos[0])
    return { root: null, aliases: new Map(), problems: errors.slice(0, limits.problems).map(fromLibrary) }
  }
  const root = documents[0]?.contents ?? null
  return { root, aliases: root === null || !text.includes('*') ? new Map() : bindAliases(root), problems: [] }
}

/** The document itself, a scalar under construction, and one for the lexeme that opens the next level. */
const STACK_BESIDE_COLLECTIONS = 3

export function tooDeep(offset: number): Problem {
  return { code: 'SP003', offset, message: `the document is nested more than ${limits.depth} levels deep` }
}

function failed(problem: Problem): Tree {
  return { root: null, aliases: new Map(), problems: [problem] }
}

function fromLibrary(error: { readonly pos: readonly [number, number]; readonly message: string }): Problem {
  const message = error.message.replace(/\.$/, '')
  return { code: 'SP002', offset: error.pos[0], message: message.charAt(0).toLowerCase() + message.slice(1) }
}

/** An alias stands for the nearest anchor of its name before it. */
function bindAliases(root: ParsedNode): Map<object, ParsedNode> {
  const anchors = new Map<string, ParsedNode>()
  const aliases = new Map<object, ParsedNode>()
  const visit = (node: ParsedNode | null): void => {
    if (node === null) return
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target !== undefined) aliases.set(node, target)
      return
    }
    if (node.anchor !== undefined) anchors.set(node.anchor, node)
    if (isMap<ParsedNode, ParsedNode | null>(node)) {
      for (const pair of node.items) {
        visit(pair.key)
        visit(pair.value)
      }
    } else if (isSeq<ParsedNode>(node)) for (const item of node.items) visit(item)
  }
  visit(root)
  return aliases
}
