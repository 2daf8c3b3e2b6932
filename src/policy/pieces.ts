/** A piece of a pattern: this text, or characters of a kind, at least so many. */
export type Piece = string | { readonly of: (character: string) => boolean; readonly least: 0 | 1 }

/**
 * Whether a text is made of the pieces, one after the other. All ends that a piece can have are followed at once, so that
 * the time is at most the product of both lengths, whatever the pattern; a regular expression here would go back and
 * forth.
 */
export function madeOf(text: string, pieces: readonly Piece[]): boolean {
  let ends: readonly number[] = [0]
  for (const piece of pieces) {
    ends = typeof piece === 'string' ? afterText(text, piece, ends) : afterRepeated(text, piece.of, piece.least, ends)
    if (ends.length === 0) return false
  }
  return ends.at(-1) === text.length
}

function afterText(text: string, piece: string, starts: readonly number[]): readonly number[] {
  return starts.filter((start) => text.startsWith(piece, start)).map((start) => start + piece.length)
}

/** `starts` and the result are ascending. */
function afterRepeated(
  text: string,
  of: (character: string) => boolean,
  least: 0 | 1,
  starts: readonly number[],
): readonly number[] {
  const ends: number[] = []
  const begins = new Set(starts)
  let running = false
  for (let at = starts[0] as number; at <= text.length; at++) {
    if (running && !of(text[at - 1] as string)) running = false
    if (running || (least === 0 && begins.has(at))) ends.push(at)
    if (begins.has(at)) running = true
  }
  return ends
}
