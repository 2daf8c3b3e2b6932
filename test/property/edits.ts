import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { compile } from '#src/policy/compile.ts'
import type { Facts } from '#src/policy/facts.ts'
import { createInterpreter } from '#src/policy/interpret.ts'
import { type LowerInput, lower } from '#src/policy/lower.ts'
import { type Compiled, recompile } from '#src/policy/recompile.ts'
import { everything, type Protocol, tunings } from './engines.ts'
import { inputOf, type PolicyKind, type Unnamed, unnamedOf } from './policies.ts'

/** A step from one state of a workload to the next. `at` counts from the start, and wraps. */
export type Edit =
  | { readonly kind: 'add' | 'change'; readonly at: number; readonly name: string; readonly policy: Unnamed }
  | { readonly kind: 'remove' | 'repeat'; readonly at: number }
  | { readonly kind: 'rename'; readonly at: number; readonly name: string }
  | { readonly kind: 'move'; readonly at: number; readonly to: number }
  | { readonly kind: 'trustDomains'; readonly trustDomains: readonly string[] }
  | { readonly kind: 'provider'; readonly timeout: number }

/** Few enough that policies share names, and that some are longer by a bracket. */
const name = fc.constantFrom('p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p', 'p1]-rule[0', 'q')
const at = fc.nat({ max: 30 })

export function editsOf(kind: PolicyKind): fc.Arbitrary<readonly (readonly Edit[])[]> {
  const policy = unnamedOf(kind)
  const edit: fc.Arbitrary<Edit> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('add', 'change'), at, name, policy }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove'), at }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename'), at, name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('move'), at, to: at }) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.record({ kind: fc.constant('repeat'), at }),
        fc.record({
          kind: fc.constant('trustDomains'),
          trustDomains: fc.constantFrom(['td1', 'old'], ['td1'], ['old', 'td2']),
        }),
        fc.record({ kind: fc.constant('provider'), timeout: fc.constantFrom(1000, 2000) }),
      ),
    },
  )
  // Mostly one at a time, as files are edited; sometimes several, as branches are merged.
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(edit) },
    { weight: 1, arbitrary: fc.array(edit, { minLength: 2, maxLength: 5 }) },
  )
  return fc.array(step, { minLength: 1, maxLength: 8 })
}

/**
 * After each step the recompiled decider says what one compiled afresh says, and the interpreter; at the end, the decider
 * of each state still says what it said then.
 */
export function checkEdits(
  policies: readonly AuthorizationPolicy[],
  steps: readonly (readonly Edit[])[],
  protocol: Protocol,
  all: readonly Facts[],
): void {
  for (const tuning of Object.values(tunings)) {
    let input = inputOf(policies, protocol)
    let compiled = recompile(null, input, tuning)
    const states: { readonly compiled: Compiled; readonly said: readonly unknown[] }[] = []
    for (const step of [[], ...steps]) {
      input = step.reduce(apply, input)
      compiled = recompile(compiled, input, tuning)
      const ir = lower(input)
      assert.deepEqual(compiled.ir, ir)
      const fresh = compile(ir, tuning)
      const interpreted = createInterpreter(ir)
      const said = all.map((facts) => everything(compiled.decider, facts))
      assert.deepEqual(
        said,
        all.map((facts) => everything(interpreted, facts)),
        'as interpreted',
      )
      assert.deepEqual(
        said,
        all.map((facts) => everything(fresh, facts)),
        'as compiled afresh',
      )
      states.push({ compiled, said })
    }
    for (const { compiled, said } of states) {
      assert.deepEqual(
        all.map((facts) => everything(compiled.decider, facts)),
        said,
        'as it was',
      )
    }
  }
}

function apply(input: LowerInput, edit: Edit): LowerInput {
  const { policies } = input
  const place = 'at' in edit ? edit.at % Math.max(1, policies.length) : 0
  const there = policies[place]
  switch (edit.kind) {
    case 'add':
      return { ...input, policies: policies.toSpliced(place, 0, edit.policy(edit.name)) }
    case 'change':
      return there === undefined ? input : { ...input, policies: policies.with(place, edit.policy(there.meta.name)) }
    case 'remove':
      return { ...input, policies: policies.toSpliced(place, 1) }
    case 'repeat':
      return there === undefined ? input : { ...input, policies: [...policies, there] }
    case 'rename':
      if (there === undefined) return input
      return { ...input, policies: policies.with(place, { ...there, meta: { ...there.meta, name: edit.name } }) }
    case 'move':
      if (there === undefined) return input
      return { ...input, policies: policies.toSpliced(place, 1).toSpliced(edit.to % policies.length, 0, there) }
    case 'trustDomains':
      return { ...input, trustDomains: edit.trustDomains }
    case 'provider':
      return { ...input, provider: (name) => withTimeout(inputOf([], input.protocol).provider(name), edit.timeout) }
    default:
      return edit satisfies never
  }
}

function withTimeout(found: ReturnType<LowerInput['provider']>, timeout: number): ReturnType<LowerInput['provider']> {
  return found.kind === 'unusable' ? found : { kind: 'usable', provider: { ...found.provider, timeout } }
}

export function printEdit(edit: Edit): string {
  return JSON.stringify('policy' in edit ? { ...edit, policy: undefined } : edit)
}
