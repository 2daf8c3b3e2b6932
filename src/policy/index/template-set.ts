import { matchesPathTemplate, type PathTemplate, type TemplateSegment } from '../../match/path-template.ts'
import { changeRadix, type RadixNode, someOpen } from './radix.ts'
import { reverse } from './text-index.ts'
import type { TextTest } from './text-set.ts'

/**
 * Tests on a path of which one holds when any template does. More than `many` are found by the literal text that they
 * begin or end with, whichever tells more of them apart.
 */
export function compileTemplates(templates: readonly PathTemplate[], many: number): readonly TextTest[] {
  if (templates.length <= many) return templates.map((template) => (path) => matchesPathTemplate(template, path))
  const heads = groupBy(templates, templateHead)
  const tails = groupBy(templates, templateTail)
  return tails.size > heads.size ? [endsAs(tails)] : [beginsAs(heads)]
}

/** Up to the first operator, with the slash before it. */
export function templateHead({ segments }: PathTemplate): string {
  const first = segments.findIndex((segment) => segment.kind !== 'literal')
  return `/${segments
    .slice(0, first)
    .map((segment) => `${literalOf(segment)}/`)
    .join('')}`
}

/** Behind the last operator, with the slash after it; empty where an operator ends the template. */
export function templateTail({ segments }: PathTemplate): string {
  const last = segments.findLastIndex((segment) => segment.kind !== 'literal')
  return segments
    .slice(last + 1)
    .map((segment) => `/${literalOf(segment)}`)
    .join('')
}

type Groups = ReadonlyMap<string, readonly PathTemplate[]>
type Tree = RadixNode<readonly PathTemplate[]> | null

function beginsAs(heads: Groups): TextTest {
  const owner = {}
  let tree: Tree = null
  for (const [head, same] of heads) tree = changeRadix(tree, head, owner, () => same)
  const whole = tree
  return (path) => someOpen(whole, path, 0, path.length, 1, someMatches)
}

function endsAs(tails: Groups): TextTest {
  const owner = {}
  let tree: Tree = null
  for (const [tail, same] of tails) tree = changeRadix(tree, reverse(tail), owner, () => same)
  const whole = tree
  return (path) => someOpen(whole, path, path.length - 1, -1, -1, someMatches)
}

function someMatches(templates: readonly PathTemplate[], path: string): boolean {
  for (let i = 0; i < templates.length; i++) if (matchesPathTemplate(templates[i] as PathTemplate, path)) return true
  return false
}

function literalOf(segment: TemplateSegment): string {
  return segment.kind === 'literal' ? segment.value : ''
}

function groupBy(templates: readonly PathTemplate[], textOf: (template: PathTemplate) => string): Groups {
  const groups = new Map<string, PathTemplate[]>()
  for (const template of templates) {
    const text = textOf(template)
    const group = groups.get(text)
    if (group === undefined) groups.set(text, [template])
    else group.push(template)
  }
  return groups
}
