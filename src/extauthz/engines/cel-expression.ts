import { type CelEnv, type CelInput, type CelResult, celEnv, isCelError, parse, plan } from '@bufbuild/cel'
import { CelBudget, EXHAUSTED } from './cel-budget.ts'
import { checkExpression } from './cel-check.ts'
import { functionsOf, STEP } from './cel-functions.ts'
import { type Expr, innerPartsOf, type Parsed, partsOf } from './cel-syntax.ts'
import type { Uses } from './cel-variables.ts'

/** An expression that was parsed, checked and planned. */
export interface CelExpression {
  readonly uses: Uses
  /** Never throws; what cannot be evaluated is an error. */
  evaluate(variables: Record<string, CelInput>): CelResult | Error
  /** `line:column` of the part that an error is about; empty when it does not say. */
  place(error: Error): string
}

/** Where a problem is: lines and columns from 1. */
export interface CelProblem {
  readonly line: number
  readonly column: number
  readonly message: string
  readonly help?: string
}

export type CompiledCel =
  | { readonly kind: 'expression'; readonly expression: CelExpression }
  | { readonly kind: 'problems'; readonly problems: readonly [CelProblem, ...CelProblem[]] }

export function compileCel(text: string): CompiledCel {
  const budget = new CelBudget()
  const env = celEnv({ funcs: functionsOf(budget) })
  let parsed: Parsed
  try {
    parsed = parse(text)
  } catch (error) {
    return { kind: 'problems', problems: [syntaxProblem(error)] }
  }
  const place = placesIn(text, parsed)
  const { problems, uses } = checkExpression(parsed.expr, env)
  const [first, ...others] = problems.map(({ expr, message, help }) => ({
    ...place(expr),
    message,
    ...(help === undefined ? {} : { help }),
  }))
  if (first !== undefined) return { kind: 'problems', problems: [first, ...others] }
  countSteps(parsed.expr)
  const evaluate = evaluator(env, parsed, budget)
  return { kind: 'expression', expression: { uses, evaluate, place: (error) => placeOf(error, place) } }
}

function evaluator(env: CelEnv, { expr }: Parsed, budget: CelBudget): CelExpression['evaluate'] {
  const run = plan(env, expr)
  return (variables) => {
    budget.start()
    try {
      const result = run(variables)
      // An expression can go on after an error (`error || true`), but not after this one.
      return budget.exhausted ? new Error(EXHAUSTED) : result
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }
}

/** Each turn of a macro's loop takes a step of the budget. */
function countSteps(expr: Expr): void {
  for (const part of [...partsOf(expr), ...innerPartsOf(expr)]) countSteps(part)
  const { exprKind } = expr
  if (exprKind.case !== 'comprehensionExpr' || exprKind.value.loopCondition === undefined) return
  const condition = exprKind.value.loopCondition
  exprKind.value.loopCondition = {
    $typeName: 'cel.expr.Expr',
    id: condition.id,
    exprKind: {
      case: 'callExpr',
      value: { $typeName: 'cel.expr.Expr.Call', function: STEP, args: [condition] },
    },
  }
}

function syntaxProblem(error: unknown): CelProblem {
  const { location, message } = error as { readonly location?: Located; readonly message?: string }
  const { line, column } = location?.start ?? { line: 1, column: 1 }
  if (error instanceof RangeError) return { line, column, message: 'the expression is nested too deeply' }
  // The parser lists all that could stand there.
  const found = /found (.*) but expecting/s.exec(message ?? '')?.[1]
  return { line, column, message: found === undefined ? 'syntax error' : `syntax error at \`${found.slice(0, 40)}\`` }
}

interface Located {
  readonly start: { readonly line: number; readonly column: number }
}

function placeOf(error: Error, place: ReturnType<typeof placesIn>): string {
  const id = isCelError(error) ? error.exprId : undefined
  if (id === undefined) return ''
  const { line, column } = place({ id })
  return `${line}:${column}`
}

function placesIn(text: string, { sourceInfo }: Parsed): (expr: Pick<Expr, 'id'>) => { line: number; column: number } {
  return ({ id }) => {
    const before = text.slice(0, sourceInfo?.positions[id.toString()] ?? 0).split('\n')
    return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
  }
}
