/**
 * The meaning of a plain scalar as Kubernetes has it: sigs.k8s.io/yaml, which reads with go-yaml v2, so YAML 1.1
 * booleans, octal numbers with a leading zero, underscores in numbers; no sexagesimal numbers, and timestamps stay text.
 */
export type Resolved =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  /** Infinity or not a number, which JSON does not have. */
  | { readonly kind: 'notJson' }
  | { readonly kind: 'string'; readonly value: string }

const NULL: Resolved = { kind: 'null' }
const TRUE: Resolved = { kind: 'bool', value: true }
const FALSE: Resolved = { kind: 'bool', value: false }
const NOT_JSON: Resolved = { kind: 'notJson' }

const words: ReadonlyMap<string, Resolved> = new Map<string, Resolved>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, NULL] as const),
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, TRUE] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, FALSE] as const),
  ...['.nan', '.NaN', '.NAN', '.inf', '.Inf', '.INF'].map((word) => [word, NOT_JSON] as const),
  ...['+.inf', '+.Inf', '+.INF', '-.inf', '-.Inf', '-.INF'].map((word) => [word, NOT_JSON] as const),
])

const float = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/

export function resolvePlain(text: string): Resolved {
  const c = text.charCodeAt(0)
  if (!(c >= 0x30 && c <= 0x39) && c !== 0x2b && c !== 0x2d && c !== 0x2e) {
    return (text.length <= 5 ? words.get(text) : undefined) ?? { kind: 'string', value: text }
  }
  return words.get(text) ?? resolveNumber(text) ?? { kind: 'string', value: text }
}

function resolveNumber(text: string): Resolved | null {
  // Underscores count for nothing, but after a leading point they must separate digits, as in Go.
  if (text.startsWith('.') && /^\._|__|_$|_[eE]|[eE+-]_/.test(text)) return null
  const plain = text.replaceAll('_', '')
  const integer = resolveInteger(plain)
  if (integer !== null) return { kind: 'int', value: integer }
  if (!float.test(plain)) return null
  const value = Number(plain)
  return Number.isFinite(value) ? { kind: 'float', value } : null
}

const MIN_INT64 = -(2n ** 63n)
const MAX_UINT64 = 2n ** 64n - 1n
const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/

/** Go's strconv.ParseInt with base 0, then ParseUint: 64 bits. Beyond 2^53 the nearest double stands for the number. */
function resolveInteger(text: string): number | null {
  const parts = integer.exec(text)
  if (parts === null) return null
  const [, sign, hex, binary, octal, decimal] = parts
  // Longer numbers overflow 64 bits whatever their base; this keeps BigInt's work small.
  if (text.length > 70) return null
  const digits =
    hex !== undefined ? `0x${hex}` : binary !== undefined ? `0b${binary}` : octal !== undefined ? `0o${octal}` : decimal
  const magnitude = BigInt(digits as string)
  const value = sign === '-' ? -magnitude : magnitude
  if (value < MIN_INT64 || value > MAX_UINT64 || (sign === '+' && value >= 2n ** 63n)) return null
  return Number(value)
}
