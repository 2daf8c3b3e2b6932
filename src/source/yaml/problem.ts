/** Something wrong in a text, before it is known where the text stands. */
export interface Problem {
  readonly code: 'SP002' | 'SP003'
  readonly offset: number
  readonly message: string
  readonly help?: string
}
