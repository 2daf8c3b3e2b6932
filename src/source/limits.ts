/** What a text may hold. Each limit ends in one SP003 diagnostic. */
export const limits = {
  /** UTF-16 units of one text. */
  textLength: 64 * 1024 * 1024,
  /** Of one document: the tree that the YAML library builds takes some sixty times the text. */
  documentLength: 16 * 1024 * 1024,
  documents: 200_000,
  /** Collections inside collections, after aliases were expanded. */
  depth: 128,
  /** Values of one document once its aliases are expanded. */
  expandedNodes: 1_000_000,
  /** Problems reported for one document; what follows is rarely independent of what came before. */
  problems: 20,
} as const
