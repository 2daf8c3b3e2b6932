import type { Args } from './command.ts'
import type { Io } from './io.ts'
import { style } from './style.ts'

/** Says each note once. */
export type Notes = (texts: readonly string[]) => void

/** Different notes of one run; a file of requests may have one each. */
const MOST_NOTES = 20

export function createNotes(args: Args, io: Io): Notes {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  const said = new Set<string>()
  return (texts) => {
    for (const text of texts) {
      if (said.has(text) || said.size > MOST_NOTES) continue
      said.add(text)
      const line = said.size > MOST_NOTES ? 'there are more notes, which are left out' : text
      io.stderr(`${paint.cyan('note')}: ${line}\n`)
    }
  }
}
