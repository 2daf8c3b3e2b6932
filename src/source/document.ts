/** A YAML or JSON value. Mappings have string keys only, as Kubernetes reads them. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Keys and indexes from a document's root to a value. */
export type Path = readonly (string | number)[]

export interface Position {
  readonly line: number
  readonly column: number
}

/**
 * One document of a file, as plain data. Positions are not kept: they are found again from the text when a diagnostic
 * needs one, which keeps large meshes small in memory.
 */
export interface SourceDocument {
  readonly file: string
  /** Lines of the file before the document: another number when something before it changes. */
  readonly linesBefore: number
  readonly value: Json
  /**
   * The position of a key (or of a value) at `path`. Where the path leads nowhere, the nearest ancestor that exists.
   * Paths also lead into the text of another document inside a string, such as a ConfigMap's `data.mesh`: a string
   * value that the caller parsed with `embedded` has its inner path simply appended.
   */
  locate(path: Path, at: 'key' | 'value'): Position
}
