import { compileMatches, MANY, type Test } from './compile-match.ts'
import type { Condition, Conjunction, RuleIr } from './ir.ts'

const always: Test = () => true

/** One rule as a test: some permission and some principal. `many`: how many values are too many to be tried in turn. */
export function compileRule(rule: RuleIr, many = MANY): Test {
  const permission = anyOf(rule.permissions.map((conjunction) => compileConjunction(conjunction, many)))
  const principal = anyOf(rule.principals.map((conjunction) => compileConjunction(conjunction, many)))
  if (permission === always) return principal
  if (principal === always) return permission
  return (facts) => permission(facts) && principal(facts)
}

function compileConjunction(conditions: Conjunction, many: number): Test {
  return allOf(conditions.map((condition) => compileCondition(condition, many)))
}

function compileCondition(condition: Condition, many: number): Test {
  const any = condition.any.length === 0 ? always : anyOf(compileMatches(condition.any, many))
  if (condition.none.length === 0) return any
  const none = anyOf(compileMatches(condition.none, many))
  return any === always ? (facts) => !none(facts) : (facts) => any(facts) && !none(facts)
}

function allOf(tests: readonly Test[]): Test {
  const some = tests.filter((test) => test !== always)
  const [first, second, third] = some
  if (first === undefined) return always
  if (second === undefined) return first
  if (third === undefined) return (facts) => first(facts) && second(facts)
  return (facts) => {
    for (let i = 0; i < some.length; i++) if (!(some[i] as Test)(facts)) return false
    return true
  }
}

/** No test at all never holds. */
export function anyOf(tests: readonly Test[]): Test {
  if (tests.includes(always)) return always
  const [first, second] = tests
  if (first === undefined) return () => false
  if (second === undefined) return first
  return (facts) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as Test)(facts)) return true
    return false
  }
}
