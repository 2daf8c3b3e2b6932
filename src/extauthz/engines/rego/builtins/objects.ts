import {
  compareValues,
  equals,
  integer,
  isArray,
  isObject,
  member,
  type RegoObject,
  RegoSet,
  type RegoValue,
} from '../value.ts'
import { type Arguments, BuiltinError, type Builtins, Halt } from './builtin.ts'
import { asWhole, collection, members, operand } from './operands.ts'

/** Numbers or paths that one call may make. */
const MAX_MADE = 100_000

function has(items: readonly RegoValue[], value: RegoValue): boolean {
  return items.some((item) => equals(item, value))
}

function isSubset(whole: RegoValue, part: RegoValue): boolean {
  if (isObject(whole) && isObject(part)) return isObjectSubset(whole, part)
  if (whole instanceof RegoSet && part instanceof RegoSet) return part.items.every((item) => has(whole.items, item))
  if (isArray(whole) && isArray(part)) return isRun(whole, part)
  if (isArray(whole) && part instanceof RegoSet) return holdsAll(whole, part)
  throw new BuiltinError('both arguments must be of the same type or array and set')
}

function isObjectSubset(whole: RegoObject, part: RegoObject): boolean {
  return [...part].every(([key, value]) => {
    const other = member(whole, key)
    if (other === undefined) return false
    if (equals(other, value)) return true
    const alike =
      (isObject(other) && isObject(value)) ||
      (other instanceof RegoSet && value instanceof RegoSet) ||
      (isArray(other) && isArray(value))
    return alike && isSubset(other, value)
  })
}

/**
 * Whether the items of the one stand in the other, side by side. OPA goes on after a mismatch at the next place.
 */
function isRun(whole: readonly RegoValue[], part: readonly RegoValue[]): boolean {
  for (let start = 0; start + part.length <= whole.length; start++) {
    if (part.every((item, index) => equals(whole[start + index] as RegoValue, item))) return true
  }
  return false
}

/** An empty list holds not even nothing, as in OPA. */
function holdsAll(list: readonly RegoValue[], set: RegoSet): boolean {
  return list.length > 0 && set.items.every((item) => has(list, item))
}

/** Every path from the given nodes along the edges, each as far as it goes without meeting itself. */
function reachablePaths(args: Arguments): RegoSet {
  const graph = members(args, 0)
  const paths: RegoValue[][] = []
  const edges = (node: RegoValue) => {
    const found = member(graph, node)
    return found === undefined ? null : isArray(found) || found instanceof RegoSet ? collection(found) : []
  }
  const keep = (path: RegoValue[]) => {
    if (paths.length >= MAX_MADE) throw new Halt(`graph.reachable_paths: more than ${MAX_MADE} paths`)
    paths.push(path)
  }
  const walk = (node: RegoValue, path: RegoValue[]) => {
    const next = edges(node)
    if (next === null) return keep(path)
    const longer = [...path, node]
    if (next.length === 0) return keep(longer)
    for (const neighbor of next) {
      if (has(longer, neighbor)) keep(longer)
      else walk(neighbor, longer)
    }
  }
  for (const node of collection(operand(args, 1))) {
    const next = edges(node)
    if (next === null) continue
    if (next.length === 0) keep([node])
    for (const neighbor of next) walk(neighbor, [node])
  }
  return new RegoSet(paths)
}

function rangeStep(args: Arguments): RegoValue {
  const [from, to, step] = [0, 1, 2].map((index) => asWhole(operand(args, index))) as [bigint, bigint, bigint]
  if (step <= 0n) throw new BuiltinError('step must be a positive integer')
  const distance = to > from ? to - from : from - to
  if (distance / step >= BigInt(MAX_MADE)) throw new Halt(`numbers.range_step: more than ${MAX_MADE} numbers`)
  const direction = to >= from ? step : -step
  return Array.from({ length: Number(distance / step) + 1 }, (_, index) => integer(from + direction * BigInt(index)))
}

function cast(isWanted: (value: RegoValue) => boolean) {
  return (args: Arguments): RegoValue => {
    const value = operand(args, 0)
    if (!isWanted(value)) throw new BuiltinError('of another type')
    return value
  }
}

export const objectBuiltins: Builtins = {
  'object.subset': (args) => isSubset(operand(args, 0), operand(args, 1)),
  'graph.reachable_paths': reachablePaths,
  'numbers.range_step': rangeStep,
  cast_array: (args) => [...collection(operand(args, 0))].sort(isArray(operand(args, 0)) ? () => 0 : compareValues),
  cast_set: (args) => new RegoSet(collection(operand(args, 0))),
  cast_string: cast((value) => typeof value === 'string'),
  cast_boolean: cast((value) => typeof value === 'boolean'),
  cast_null: cast((value) => value === null),
  cast_object: cast(isObject),
}
