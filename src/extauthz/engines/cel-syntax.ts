import type { parse } from '@bufbuild/cel'

/** Expressions as the parser gives them. */
export type Parsed = ReturnType<typeof parse>
export type Expr = Parsed['expr']

/** The parts of an expression that are evaluated where it is, and not once for each item of a list. */
export function partsOf(expr: Expr): readonly Expr[] {
  const { exprKind } = expr
  switch (exprKind.case) {
    case 'selectExpr':
      return present([exprKind.value.operand])
    case 'callExpr':
      return present([exprKind.value.target, ...exprKind.value.args])
    case 'listExpr':
      return exprKind.value.elements
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) =>
        present([keyKind.case === 'mapKey' ? keyKind.value : undefined, value]),
      )
    case 'comprehensionExpr':
      return present([exprKind.value.iterRange, exprKind.value.accuInit])
    default:
      return []
  }
}

/** The parts of a macro that are evaluated for each item, where its own variables are known. */
export function innerPartsOf({ exprKind }: Expr): readonly Expr[] {
  if (exprKind.case !== 'comprehensionExpr') return []
  const { loopCondition, loopStep, result } = exprKind.value
  return present([loopCondition, loopStep, result])
}

/** `a.b.c` as its names; null for anything else. */
export function chainOf(expr: Expr): readonly string[] | null {
  const { exprKind } = expr
  if (exprKind.case === 'identExpr') return [exprKind.value.name]
  if (exprKind.case !== 'selectExpr' || exprKind.value.operand === undefined) return null
  const before = chainOf(exprKind.value.operand)
  return before === null ? null : [...before, exprKind.value.field]
}

/** The text of a literal; null for anything else. */
export function literalText({ exprKind }: Expr): string | null {
  if (exprKind.case !== 'constExpr') return null
  const { constantKind } = exprKind.value
  return constantKind.case === 'stringValue' ? constantKind.value : null
}

function present(parts: readonly (Expr | undefined)[]): readonly Expr[] {
  return parts.filter((part) => part !== undefined)
}
