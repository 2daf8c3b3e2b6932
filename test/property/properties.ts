import assert from 'node:assert/strict'
import fc from 'fast-check'
import { authorizationPoliciesFor } from '#src/mesh/attach.ts'
import type { Action, AuthorizationPolicy, Rule, Values } from '#src/mesh/authorization-policy.ts'
import { loadMesh } from '#src/mesh/load.ts'
import type { Workload } from '#src/mesh/workload.ts'
import { parseSource } from '#src/source/parse.ts'
import { aim } from './aim.ts'
import { checkEdits, editsOf, printEdit } from './edits.ts'
import { allows, assertAgree, compiled, everything, outcomes, type Protocol } from './engines.ts'
import { manifestOf } from './manifest.ts'
import { anything, type PolicyKind, policiesOf, policyOf, unnamedOf, validOnly } from './policies.ts'
import { type Asked, connections, factsOf, requests } from './requests.ts'

/** Something that holds for any policies and any request. */
export interface Property {
  readonly name: string
  readonly protocol: Protocol
  /** Of how many cases one is this property's, in parts of the whole. */
  readonly weight: number
  readonly cases: fc.Arbitrary<Case>
}

/** One case of a property: what it is about, for people, and whether it holds. */
export interface Case {
  readonly policies: readonly AuthorizationPolicy[]
  readonly more: readonly AuthorizationPolicy[]
  readonly asked: readonly Asked[]
  /** What else happens. */
  readonly steps?: readonly string[]
  /** Throws where it does not. */
  readonly check: () => void
}

const protocols: readonly Protocol[] = ['http', 'tcp']

/** Three of four are bent towards a rule. */
function askedOf(protocol: Protocol, policies: readonly AuthorizationPolicy[]): fc.Arbitrary<Asked> {
  const seed = fc.option(fc.integer(), { nil: null, freq: 3 })
  return fc
    .tuple(protocol === 'http' ? requests : connections, seed)
    .map(([asked, seed]) => (seed === null ? asked : aim(asked, policies, seed)))
}

/** Cases of some policies, of others, and of requests aimed at both. */
function casesOf(
  protocol: Protocol,
  kind: PolicyKind,
  check: (
    policies: readonly AuthorizationPolicy[],
    more: readonly AuthorizationPolicy[],
    asked: readonly Asked[],
  ) => void,
  more: fc.Arbitrary<readonly AuthorizationPolicy[]> = fc.constant([]),
): fc.Arbitrary<Case> {
  return fc
    .tuple(policiesOf(kind), more)
    .chain(([policies, more]) =>
      fc
        .array(askedOf(protocol, [...policies, ...more]), { minLength: 1, maxLength: 4 })
        .map((asked) => ({ policies, more, asked, check: () => check(policies, more, asked) })),
    )
}

/** Up to three enforced policies of one action, of names of their own. */
function extra(action: Action): fc.Arbitrary<readonly AuthorizationPolicy[]> {
  return fc
    .array(unnamedOf(anything), { minLength: 1, maxLength: 3 })
    .map((all) => all.map((unnamed, i) => ({ ...unnamed(`extra${i}`), action, dryRun: false, provider: null })))
}

function engines(protocol: Protocol): fc.Arbitrary<Case> {
  return casesOf(protocol, anything, (policies, _, asked) => assertAgree(policies, protocol, asked.map(factsOf)))
}

function addedDeny(protocol: Protocol): fc.Arbitrary<Case> {
  const check: Parameters<typeof casesOf>[2] = (policies, more, asked) => {
    for (const facts of asked.map(factsOf)) {
      if (!allows(policies, facts)) assert.equal(allows([...policies, ...more], facts), false)
    }
  }
  return casesOf(protocol, anything, check, extra('DENY'))
}

function addedAllow(protocol: Protocol): fc.Arbitrary<Case> {
  const first = policyOf('first', 'ALLOW', [])
  const check: Parameters<typeof casesOf>[2] = (policies, more, asked) => {
    for (const facts of asked.map(factsOf)) {
      if (allows([first, ...policies], facts)) assert.equal(allows([first, ...policies, ...more], facts), true)
    }
  }
  return casesOf(protocol, anything, check, extra('ALLOW'))
}

function order(protocol: Protocol): fc.Arbitrary<Case> {
  return policiesOf(anything, 6).chain((policies) =>
    fc
      .tuple(
        fc.shuffledSubarray([...policies], { minLength: policies.length }),
        fc.array(askedOf(protocol, policies), { minLength: 1, maxLength: 4 }),
      )
      .map(([shuffled, asked]) => ({
        policies,
        more: [],
        asked,
        check: () => {
          for (const facts of asked.map(factsOf)) {
            const first = everything(compiled(policies, protocol), facts)
            assert.deepEqual(everything(compiled(shuffled, protocol), facts), first)
          }
        },
      })),
  )
}

const workload: Workload = {
  kind: 'CommandLine',
  namespace: 'a',
  name: 'web',
  labels: {},
  serviceAccount: 'web',
  role: { kind: 'sidecar' },
  ports: [],
  addresses: [],
  origin: null,
}

/** The policies of the workload as they come from files, each file being documents in some order. */
function fromFiles(files: readonly (readonly object[])[]): readonly AuthorizationPolicy[] {
  const documents = files.flatMap((objects, i) => {
    const text = objects.map((object) => JSON.stringify(object)).join('\n---\n')
    return parseSource(`${i}.yaml`, text).documents
  })
  return authorizationPoliciesFor(loadMesh(documents).mesh, workload)
}

function files(protocol: Protocol): fc.Arbitrary<Case> {
  return policiesOf(anything, 5).chain((policies) =>
    fc
      .tuple(
        fc.shuffledSubarray([...policies], { minLength: policies.length }),
        fc.nat({ max: policies.length }),
        fc.array(askedOf(protocol, policies), { minLength: 1, maxLength: 3 }),
      )
      .map(([shuffled, cut, asked]) => ({
        policies,
        more: [],
        asked,
        check: () => {
          const written = (list: readonly AuthorizationPolicy[], empty = false) =>
            list.map((policy) => manifestOf(policy, { empty }))
          const one = fromFiles([written(policies)])
          const several = fromFiles([written(shuffled.slice(0, cut)), written(shuffled.slice(cut))])
          // An empty list, `notPaths: []`, is no list.
          const padded = fromFiles([written(shuffled, true)])
          for (const facts of asked.map(factsOf)) {
            const first = everything(compiled(one, protocol), facts)
            assert.deepEqual(first, everything(compiled(policies, protocol), facts), 'as decoded')
            assert.deepEqual(everything(compiled(several, protocol), facts), first, 'the order of files')
            assert.deepEqual(everything(compiled(padded, protocol), facts), first, 'lists without values')
          }
        },
      })),
  )
}

function copied(protocol: Protocol): fc.Arbitrary<Case> {
  const check: Parameters<typeof casesOf>[2] = (policies, _, asked) => {
    for (const facts of asked.map(factsOf)) {
      const before = outcomes(compiled(policies, protocol), facts)
      for (const policy of policies) {
        const copy = { ...policy, meta: { ...policy.meta, name: `copy-of-${policy.meta.name}` } }
        assert.deepEqual(outcomes(compiled([...policies, copy], protocol), facts), before)
      }
    }
  }
  return casesOf(protocol, anything, check)
}

/** Each rule that can be split, split in each way. */
function split(): fc.Arbitrary<Case> {
  const check: Parameters<typeof casesOf>[2] = (policies, _, asked) => {
    for (const [p, policy] of policies.entries()) {
      for (const [r, rule] of policy.rules.entries()) {
        for (const halves of halvesOf(rule)) {
          const parted = policies.with(p, { ...policy, rules: policy.rules.toSpliced(r, 1, ...halves) })
          for (const facts of asked.map(factsOf)) {
            assert.deepEqual(outcomes(compiled(parted, 'http'), facts), outcomes(compiled(policies, 'http'), facts))
          }
        }
      }
    }
  }
  return casesOf('http', validOnly, check)
}

/** A rule as two: by its `from`, its `to`, and the values of each field and condition. */
function halvesOf(rule: Rule): readonly (readonly Rule[])[] {
  const { from, to, when } = rule
  const halves: (readonly Rule[])[] = []
  if (from !== null && from.length > 1)
    halves.push([from.slice(0, 1), from.slice(1)].map((part) => ({ ...rule, from: part })))
  if (to !== null && to.length > 1) halves.push([to.slice(0, 1), to.slice(1)].map((part) => ({ ...rule, to: part })))
  for (const [i, source] of (from ?? []).entries()) {
    for (const parts of partsOf(source)) {
      // The other alternatives go with either half.
      halves.push(parts.map((part) => ({ ...rule, from: (from ?? []).with(i, part) })))
    }
  }
  for (const [i, operation] of (to ?? []).entries()) {
    for (const parts of partsOf(operation))
      halves.push(parts.map((part) => ({ ...rule, to: (to ?? []).with(i, part) })))
  }
  for (const [i, condition] of when.entries()) {
    for (const parts of partsOfValues(condition)) {
      halves.push(parts.map((part) => ({ ...rule, when: when.with(i, { ...condition, ...part }) })))
    }
  }
  return halves
}

/** By the values of one of the fields. */
function partsOf<T extends object>(fields: T): readonly (readonly T[])[] {
  return (Object.entries(fields) as [string, Values][]).flatMap(([name, values]) =>
    partsOfValues(values).map((parts) => parts.map((part) => ({ ...fields, [name]: part }))),
  )
}

function partsOfValues({ values, notValues }: Values): readonly (readonly Values[])[] {
  if (values.length < 2) return []
  return [[values.slice(0, 1), values.slice(1)].map((part) => ({ values: part, notValues }))]
}

function edits(protocol: Protocol): fc.Arbitrary<Case> {
  const policies = fc
    .array(unnamedOf(anything), { maxLength: 14 })
    .map((all) => all.map((unnamed, i) => unnamed(`p${i}`)))
  return fc.tuple(policies, editsOf(anything)).chain(([policies, steps]) => {
    const added = steps.flat().flatMap((edit) => ('policy' in edit ? [edit.policy(edit.name)] : []))
    return fc.array(askedOf(protocol, [...policies, ...added]), { minLength: 1, maxLength: 4 }).map((asked) => ({
      policies,
      more: added,
      asked,
      steps: steps.map((step) => step.map(printEdit).join(' ')),
      check: () => checkEdits(policies, steps, protocol, asked.map(factsOf)),
    }))
  })
}

const both = (name: string, weight: number, cases: (protocol: Protocol) => fc.Arbitrary<Case>): readonly Property[] =>
  protocols.map((protocol) => ({ name: `${name} (${protocol})`, protocol, weight, cases: cases(protocol) }))

export const properties: readonly Property[] = [
  ...both('the compiled decider says what the interpreter says', 8, engines),
  ...both('adding a DENY never allows more', 2, addedDeny),
  ...both('adding an ALLOW to a workload that has one never denies more', 2, addedAllow),
  ...both('the order of policies never matters', 1, order),
  ...both('the order of files never matters, nor do lists without values', 1, files),
  ...both('a policy twice, under another name, changes nothing', 1, copied),
  ...both('edits come to what compiling afresh does', 1, edits),
  { name: 'a rule split in two decides the same (http)', protocol: 'http', weight: 2, cases: split() },
]
