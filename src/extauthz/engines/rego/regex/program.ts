import type { CharTest } from './char-test.ts'
import { parseRegex } from './parse.ts'
import { type Expression, type Place, RegexError } from './syntax.ts'

/** One step of a machine that tries all ways at once. */
export type Instruction =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'place'; readonly place: Place }
  /** The first way is preferred. */
  | { readonly kind: 'split'; readonly first: number; readonly second: number }
  | { readonly kind: 'jump'; readonly to: number }
  | { readonly kind: 'save'; readonly slot: number }
  | { readonly kind: 'match' }

export interface RegexProgram {
  readonly instructions: readonly Instruction[]
  readonly names: readonly string[]
}

const MAX_INSTRUCTIONS = 20_000

/** Throws `RegexError`. */
export function compileRegex(text: string): RegexProgram {
  const { expression, names } = parseRegex(text)
  const instructions: Instruction[] = []
  emit({ kind: 'group', index: 0, inner: expression }, instructions)
  instructions.push({ kind: 'match' })
  return { instructions, names }
}

function emit(expression: Expression, out: Instruction[]): void {
  if (out.length > MAX_INSTRUCTIONS) throw new RegexError('expression too large')
  switch (expression.kind) {
    case 'empty':
      return
    case 'char':
    case 'place':
      out.push(expression)
      return
    case 'group':
      out.push({ kind: 'save', slot: expression.index * 2 })
      emit(expression.inner, out)
      out.push({ kind: 'save', slot: expression.index * 2 + 1 })
      return
    case 'sequence':
      for (const part of expression.parts) emit(part, out)
      return
    case 'choice':
      emitChoice(expression.options, out)
      return
    case 'repeat': {
      const { inner, least, most, greedy } = expression
      for (let i = 0; i < least - (most === null ? 1 : 0); i++) emit(inner, out)
      if (most === null) emitLoop(inner, least === 0, greedy, out)
      else emitOptional(inner, most - least, greedy, out)
      return
    }
    default:
      expression satisfies never
  }
}

function emitChoice(options: readonly Expression[], out: Instruction[]): void {
  const jumps: number[] = []
  for (const [index, option] of options.entries()) {
    if (index === options.length - 1) emit(option, out)
    else {
      const split = out.push({ kind: 'match' }) - 1
      emit(option, out)
      jumps.push(out.push({ kind: 'match' }) - 1)
      out[split] = { kind: 'split', first: split + 1, second: out.length }
    }
  }
  for (const jump of jumps) out[jump] = { kind: 'jump', to: out.length }
}

/** At least once, or (`optional`) not at all: what may be empty is tried once before the loop decides. */
function emitLoop(inner: Expression, optional: boolean, greedy: boolean, out: Instruction[]): void {
  const skip = optional ? out.push({ kind: 'match' }) - 1 : -1
  const start = out.length
  emit(inner, out)
  out.push(split(start, out.length + 1, greedy))
  if (optional) out[skip] = split(skip + 1, out.length, greedy)
}

/** Up to so many times, each within the one before. */
function emitOptional(inner: Expression, count: number, greedy: boolean, out: Instruction[]): void {
  const splits: number[] = []
  for (let i = 0; i < count; i++) {
    splits.push(out.push({ kind: 'match' }) - 1)
    emit(inner, out)
  }
  for (const at of splits) out[at] = split(at + 1, out.length, greedy)
}

function split(into: number, past: number, greedy: boolean): Instruction {
  return greedy ? { kind: 'split', first: into, second: past } : { kind: 'split', first: past, second: into }
}
