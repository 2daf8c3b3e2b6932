import { Halt } from '../builtins/builtin.ts'
import type { RegexProgram } from './program.ts'
import type { Place } from './syntax.ts'

/** Where a match and each of its groups begin and end, in UTF-16 units; -1 for a group that took no part. */
export type Match = readonly number[]

/** Steps of one search, over which an evaluation ends: the time is linear, but text times expression may be much. */
const MAX_STEPS = 100_000_000

interface Threads {
  readonly states: number[]
  readonly captures: Match[]
}

/**
 * Finds the leftmost match from an index on, preferring as Perl would. All ways are followed side by side, so that no
 * expression takes more than time proportional to the text.
 */
export function findMatch(program: RegexProgram, text: string, from: number): Match | null {
  const { instructions, names } = program
  const marks = new Uint32Array(instructions.length)
  const nowhere: Match = new Array<number>(names.length * 2).fill(-1)
  let now: Threads = { states: [], captures: [] }
  let next: Threads = { states: [], captures: [] }
  let found: Match | null = null
  let mark = 0
  let steps = 0

  /** Follows everything that takes no character, the preferred way first. */
  const add = (threads: Threads, start: number, at: number, given: Match): void => {
    const stack: [state: number, captures: Match][] = [[start, given]]
    for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
      const [state, captures] = entry
      if (marks[state] === mark) continue
      marks[state] = mark
      steps++
      const instruction = instructions[state]
      if (instruction === undefined) continue
      switch (instruction.kind) {
        case 'jump':
          stack.push([instruction.to, captures])
          break
        case 'split':
          stack.push([instruction.second, captures], [instruction.first, captures])
          break
        case 'save': {
          const saved = [...captures]
          saved[instruction.slot] = at
          stack.push([state + 1, saved])
          break
        }
        case 'place':
          if (holds(instruction.place, text, at)) stack.push([state + 1, captures])
          break
        default:
          threads.states.push(state)
          threads.captures.push(captures)
      }
    }
  }

  for (let at = from; ; ) {
    if (steps > MAX_STEPS) throw new Halt('a regular expression takes too long')
    // Marks of states that were added at this place tell them from those of the places before.
    if (found === null) {
      mark = now.states.length === 0 ? mark + 1 : mark
      add(now, 0, at, nowhere)
    }
    if (found !== null && now.states.length === 0) break
    const code = text.codePointAt(at)
    const after = code === undefined ? at : at + (code > 0xffff ? 2 : 1)
    mark++
    for (const [index, state] of now.states.entries()) {
      const captures = now.captures[index] as Match
      const instruction = instructions[state]
      if (instruction?.kind === 'match') {
        found = captures
        break
      }
      if (instruction?.kind !== 'char' || code === undefined) continue
      const { ascii, other } = instruction.test
      if (code < 128 ? ascii[code] : other(code)) add(next, state + 1, after, captures)
    }
    if (code === undefined) break
    ;[now, next] = [next, now]
    next.states.length = 0
    next.captures.length = 0
    at = after
  }
  return found
}

function holds(place: Place, text: string, at: number): boolean {
  switch (place) {
    case 'textStart':
      return at === 0
    case 'textEnd':
      return at === text.length
    case 'lineStart':
      return at === 0 || text[at - 1] === '\n'
    case 'lineEnd':
      return at === text.length || text[at] === '\n'
    case 'wordBoundary':
      return isWord(text, at - 1) !== isWord(text, at)
    case 'noWordBoundary':
      return isWord(text, at - 1) === isWord(text, at)
    default:
      return place satisfies never
  }
}

function isWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122)
}

/** All matches one after the other, as Go finds them: no empty one where the one before has just ended. */
export function findAll(program: RegexProgram, text: string, limit: number): readonly Match[] {
  const matches: Match[] = []
  for (let at = 0, last = -1; at <= text.length && (limit < 0 || matches.length < limit); ) {
    const match = findMatch(program, text, at)
    if (match === null) break
    const [start, end] = match as unknown as [number, number]
    const isRepeated = end === at && start === last
    if (end === at) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
    else at = end
    last = end
    if (!isRepeated) matches.push(match)
  }
  return matches
}
