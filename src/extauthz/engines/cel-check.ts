import { type CelEnv, isCelError, plan } from '@bufbuild/cel'
import { suggest } from '../../source/suggest.ts'
import { ANSWER_KEYS } from './cel-answer.ts'
import { chainOf, type Expr, innerPartsOf, literalText, partsOf } from './cel-syntax.ts'
import { type Uses, VARIABLES } from './cel-variables.ts'

export interface CheckProblem {
  readonly expr: Expr
  readonly message: string
  readonly help?: string
}

/** Parts of one expression. */
const MOST_PARTS = 5000
const MOST_DEPTH = 200

/**
 * What can be said of an expression before there is a request: names that nobody knows, functions with another number of
 * arguments, patterns that are no regular expressions, results that are no answer.
 */
export function checkExpression(
  root: Expr,
  env: CelEnv,
): { readonly problems: readonly CheckProblem[]; readonly uses: Uses } {
  const check = new ExpressionCheck(env)
  check.visit(root, new Set(), 0)
  check.result(root)
  return { problems: check.problems, uses: check.uses }
}

class ExpressionCheck {
  readonly problems: CheckProblem[] = []
  readonly uses = new Map<string, Set<string> | 'all'>()
  readonly #env: CelEnv
  /** Numbers of arguments by name; a method counts its target apart. */
  readonly #functions = new Map<string, Set<string>>()
  #parts = 0

  constructor(env: CelEnv) {
    this.#env = env
    for (const { name, target, arguments: args } of env.funcs as Iterable<Signature>) {
      this.#add(name, target !== undefined, args.length)
    }
    for (const [name, count] of OPERATORS) this.#add(name, false, count)
  }

  #add(name: string, isMethod: boolean, count: number): void {
    const known = this.#functions.get(name) ?? new Set()
    known.add(isMethod ? `.${count}` : String(count))
    this.#functions.set(name, known)
  }

  visit(expr: Expr, locals: ReadonlySet<string>, depth: number): void {
    this.#parts++
    if (depth > MOST_DEPTH || this.#parts > MOST_PARTS) {
      if (this.#parts !== Number.POSITIVE_INFINITY) this.#report(expr, 'the expression is too large')
      this.#parts = Number.POSITIVE_INFINITY
      return
    }
    const chain = chainOf(expr)
    if (chain !== null) {
      this.#name(expr, chain, locals)
      return
    }
    const { exprKind } = expr
    if (exprKind.case === 'structExpr' && exprKind.value.messageName !== '') {
      this.#report(expr, `there are no messages here, such as \`${exprKind.value.messageName}\``, 'write a map')
    }
    let parts = partsOf(expr)
    if (exprKind.case === 'callExpr') parts = this.#call(expr, parts, locals)
    for (const part of parts) this.visit(part, locals, depth + 1)
    if (exprKind.case === 'comprehensionExpr') {
      const { iterVar, accuVar } = exprKind.value
      const inner = new Set([...locals, iterVar, accuVar])
      for (const part of innerPartsOf(expr)) this.visit(part, inner, depth + 1)
    }
  }

  #name(expr: Expr, [root = '', field]: readonly string[], locals: ReadonlySet<string>): void {
    if (locals.has(root) || TYPES.has(root)) return
    const fields = Object.hasOwn(VARIABLES, root) ? VARIABLES[root] : undefined
    if (fields === undefined) {
      const names = Object.keys(VARIABLES)
      this.#unknown(rootOf(expr), `unknown variable \`${root}\``, suggest(root, names), names)
      return
    }
    if (field === undefined) this.uses.set(root, 'all')
    else if (fields !== null && !fields.includes(field)) {
      this.#unknown(expr, `\`${root}\` has no \`${field}\``, suggest(field, fields), fields)
    } else this.#use(root, field)
  }

  #use(root: string, field: string): void {
    const known = this.uses.get(root)
    if (known === 'all') return
    if (known === undefined) this.uses.set(root, new Set([field]))
    else known.add(field)
  }

  /** The parts that are still to be visited: the `base64` of `base64.decode` is no variable. */
  #call(expr: Expr, parts: readonly Expr[], locals: ReadonlySet<string>): readonly Expr[] {
    if (expr.exprKind.case !== 'callExpr') return parts
    const { target, args, function: name } = expr.exprKind.value
    const chain = target === undefined ? null : chainOf(target)
    const qualified = chain === null || locals.has(chain[0] ?? '') ? null : [...chain, name].join('.')
    const isQualified = qualified !== null && this.#functions.has(qualified)
    const called = isQualified ? qualified : name
    const known = this.#functions.get(called)
    const count = isQualified || target === undefined ? String(args.length) : `.${args.length}`
    if (known === undefined) {
      const names = [...this.#functions.keys()].filter((one) => /^[a-z]/i.test(one))
      this.#unknown(expr, `unknown function \`${name}\``, suggest(name, names), names)
    } else if (!known.has(count)) {
      const isMethod = count.startsWith('.')
      const what = isMethod ? `no \`x.${called}\` with ${args.length}` : `no \`${called}\` with ${args.length}`
      this.#report(expr, `there is ${what} argument${args.length === 1 ? '' : 's'}`)
    } else if (called === 'matches') this.#pattern(args.at(-1))
    return isQualified ? args : parts
  }

  /** A pattern that a client could choose would cost what it likes. */
  #pattern(pattern: Expr | undefined): void {
    if (pattern === undefined) return
    const text = literalText(pattern)
    if (text === null) {
      this.#report(pattern, 'the pattern of `matches` is not a literal', 'write the pattern in quotes')
      return
    }
    const literal = { ...pattern }
    const call: Expr = {
      ...pattern,
      exprKind: {
        case: 'callExpr',
        value: { $typeName: 'cel.expr.Expr.Call', function: 'matches', target: literal, args: [pattern] },
      },
    }
    const result = plan(this.#env, call)()
    if (isCelError(result)) this.#report(pattern, `no regular expression of RE2: ${result.message}`)
  }

  /** What the whole gives, as far as its form tells. */
  result(root: Expr): void {
    const { exprKind } = root
    switch (exprKind.case) {
      case 'constExpr':
        if (exprKind.value.constantKind.case !== 'boolValue') this.#report(root, NO_ANSWER, ANSWER_HELP)
        return
      case 'listExpr':
        this.#report(root, NO_ANSWER, ANSWER_HELP)
        return
      case 'structExpr':
        this.#answer(root)
        return
      case 'callExpr':
        if (exprKind.value.function === '_?_:_') for (const part of exprKind.value.args.slice(1)) this.result(part)
        else if (NUMERIC.has(exprKind.value.function)) this.#report(root, NO_ANSWER, ANSWER_HELP)
        return
      default:
        return
    }
  }

  #answer(root: Expr): void {
    if (root.exprKind.case !== 'structExpr') return
    const keys: (string | null)[] = []
    for (const { keyKind } of root.exprKind.value.entries) {
      const key = keyKind.case === 'mapKey' ? literalText(keyKind.value) : null
      keys.push(key)
      if (key === null || keyKind.case !== 'mapKey') continue
      if (!(ANSWER_KEYS as readonly string[]).includes(key)) {
        this.#unknown(keyKind.value, `an answer has no \`${key}\``, suggest(key, ANSWER_KEYS), ANSWER_KEYS)
      }
    }
    if (!keys.includes('allow') && !keys.includes(null)) this.#report(root, 'an answer needs `allow`', ANSWER_HELP)
  }

  #unknown(expr: Expr, message: string, near: string | null, names: readonly string[]): void {
    const help = near !== null ? `write \`${near}\`` : names.length <= 20 ? `there are: ${names.join(', ')}` : undefined
    this.#report(expr, message, help)
  }

  #report(expr: Expr, message: string, help?: string): void {
    this.problems.push({ expr, message, ...(help === undefined ? {} : { help }) })
  }
}

function rootOf(expr: Expr): Expr {
  const { exprKind } = expr
  return exprKind.case === 'selectExpr' && exprKind.value.operand !== undefined ? rootOf(exprKind.value.operand) : expr
}

interface Signature {
  readonly name: string
  readonly target: unknown
  readonly arguments: readonly unknown[]
}

const NO_ANSWER = 'the expression gives no answer'
const ANSWER_HELP = "write what is true or false, or a map: `{'allow': true, 'headers': {'x-user': 'a'}}`"

/** What the planner knows without a function. */
const OPERATORS: readonly (readonly [string, number])[] = [
  ['_&&_', 2],
  ['_||_', 2],
  ['_?_:_', 3],
  ['_[_]', 2],
  ['@not_strictly_false', 1],
  ['__not_strictly_false__', 1],
]

const NUMERIC = new Set(['_+_', '_-_', '_*_', '_/_', '_%_', '-_', 'size', 'string', 'int', 'double', 'uint', 'bytes'])

const TYPES = new Set([
  ...['bool', 'bytes', 'double', 'dyn', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint'],
  'google',
])
