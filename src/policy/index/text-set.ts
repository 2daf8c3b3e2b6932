import { matchesString } from '../../match/string-match.ts'
import type { PresenceMatch } from '../ir.ts'
import { changeRadix, type RadixNode, someOpen } from './radix.ts'
import { reverse } from './text-index.ts'

export type TextTest = (text: string) => boolean

/**
 * Whether a text meets any of the matches. More than `many` of a sort are looked up instead of tried, so that a long
 * list of values costs what a short one does. Allocates nothing.
 */
export function compileTexts(matches: readonly PresenceMatch[], many: number): TextTest {
  const [only] = matches
  if (only !== undefined && matches.length === 1) return textTest(only)
  const values = { exact: new Set<string>(), prefix: [] as string[], suffix: [] as string[] }
  const tests: TextTest[] = []
  for (const match of matches) {
    if (match.kind === 'present') return textTest(match)
    if (match.kind === 'exact') values.exact.add(match.value)
    else if (match.kind !== 'nonEmpty') values[match.kind].push(match.value)
  }
  const { exact, prefix, suffix } = values
  const lookedUp = { exact: exact.size > 2, prefix: prefix.length > many, suffix: suffix.length > many }
  if (lookedUp.exact) tests.push(isIn(exact))
  if (lookedUp.prefix) tests.push(beginsWithAny(treeOf(prefix)))
  if (lookedUp.suffix) tests.push(endsWithAny(treeOf(suffix.map(reverse))))
  for (const match of matches) {
    if (match.kind === 'present' || match.kind === 'nonEmpty' || !lookedUp[match.kind]) tests.push(textTest(match))
  }
  return anyText(tests)
}

// Each test is made in a function of its own: closures of one scope would keep alive what any of them needs.

function textTest(match: PresenceMatch): TextTest {
  switch (match.kind) {
    case 'present':
      return always
    case 'exact':
      return isText(match.value)
    case 'prefix':
    case 'suffix':
    case 'nonEmpty':
      return (text) => matchesString(match, text)
    default:
      return match satisfies never
  }
}

function isText(value: string): TextTest {
  return (text) => text === value
}

const always = () => true

function isIn(values: ReadonlySet<string>): TextTest {
  return (text) => values.has(text)
}

function beginsWithAny(tree: RadixNode<true> | null): TextTest {
  return (text) => isOpen(tree, text, 0, text.length, 1)
}

function endsWithAny(tree: RadixNode<true> | null): TextTest {
  return (text) => isOpen(tree, text, text.length - 1, -1, -1)
}

/** Prefixes as a tree. */
export function treeOf(values: readonly string[]): RadixNode<true> | null {
  const owner = {}
  let tree: RadixNode<true> | null = null
  for (const value of values) tree = changeRadix(tree, value, owner, () => true)
  return tree
}

/** Whether a text of the tree begins what is read from `from`, by `step`, to `end`, which is outside. */
export function isOpen(tree: RadixNode<true> | null, text: string, from: number, end: number, step: 1 | -1): boolean {
  return someOpen(tree, text, from, end, step, always)
}

function anyText(tests: readonly TextTest[]): TextTest {
  const [first, second, third] = tests
  if (first === undefined) return () => false
  if (second === undefined) return first
  if (third === undefined) return (text) => first(text) || second(text)
  return (text) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as TextTest)(text)) return true
    return false
  }
}
