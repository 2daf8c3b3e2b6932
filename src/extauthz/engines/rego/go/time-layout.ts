/** A layout of Go: a reference time as it would be written. Each piece is literal text or the element that it shows. */
export interface LayoutPiece {
  readonly literal: string
  /** Such as `2006` or `Z07:00`; null after the last element. */
  readonly element: string | null
}

/** What stands for something in a layout. */
const element = new RegExp(
  [
    'January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST',
    '0[1-6]|002|15|1|2006|2|_2(?!006)|__2|3|4|5|PM|pm',
    '[-Z](?:070000|07:00:00|0700|07:00|07)',
    '[.,](?:0+|9+)(?![0-9])',
  ].join('|'),
  'g',
)

const MAX_KNOWN = 100
const known = new Map<string, readonly LayoutPiece[]>()

/** The constants of Go's package `time`, by name. */
const constants: Readonly<Record<string, string>> = {
  ANSIC: 'Mon Jan _2 15:04:05 2006',
  UnixDate: 'Mon Jan _2 15:04:05 MST 2006',
  RubyDate: 'Mon Jan 02 15:04:05 -0700 2006',
  RFC822: '02 Jan 06 15:04 MST',
  RFC822Z: '02 Jan 06 15:04 -0700',
  RFC850: 'Monday, 02-Jan-06 15:04:05 MST',
  RFC1123: 'Mon, 02 Jan 2006 15:04:05 MST',
  RFC1123Z: 'Mon, 02 Jan 2006 15:04:05 -0700',
  RFC3339: '2006-01-02T15:04:05Z07:00',
  RFC3339Nano: '2006-01-02T15:04:05.999999999Z07:00',
}

/** Reads a layout, or the name of one of Go's. */
export function parseLayout(text: string): readonly LayoutPiece[] {
  const found = known.get(text)
  if (found !== undefined) return found
  const layout = Object.hasOwn(constants, text) ? (constants[text] as string) : text
  const pieces: LayoutPiece[] = []
  let at = 0
  for (const match of layout.matchAll(element)) {
    pieces.push({ literal: layout.slice(at, match.index), element: match[0] })
    at = match.index + match[0].length
  }
  pieces.push({ literal: layout.slice(at), element: null })
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(text, pieces)
  return pieces
}

export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

export const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
