/** What a text may hold. Each limit ends in one SP003 diagnostic. */
export const limits = {
  /** UTF-16 units of one text. */
  textLength: 64 * 1024 * 1024,
  /** UTF-16 units of one document. */
  documentLength: 16 * 1024 * 1024,
  /** Lexical tokens of one document, spaces among them: its tree takes up to 500 bytes for each. */
  tokens: 3_000_000,
  documents: 200_000,
  /** Collections inside collections, after aliases were expanded. */
  depth: 128,
  /** Values of one document once its aliases are expanded. */
  expandedNodes: 1_000_000,
  /** Problems reported for one document; what follows is rarely independent of what came before. */
  problems: 20,
} as const
