import { randomUUID } from 'node:crypto'
import { showValue } from '../rego-text.ts'
import { integer, object, type RegoObject } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { operand, text } from './operands.ts'

interface Version {
  readonly numbers: readonly bigint[]
  readonly preRelease: readonly string[]
}

const identifiers = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*'
const number = '(0|[1-9][0-9]{0,18})'
const semver = new RegExp(`^v?${number}\\.${number}\\.${number}(?:-(${identifiers}))?(?:\\+${identifiers})?$`)

/** Semantic Versioning 2.0, with or without a `v` before it; null for anything else. */
function parseVersion(text: string): Version | null {
  const parts = semver.exec(text)
  if (parts === null) return null
  const numbers = parts.slice(1, 4).map(BigInt)
  const preRelease = parts[4] === undefined ? [] : parts[4].split('.')
  const invalid = numbers.some((one) => one >> 63n !== 0n) || preRelease.some((one) => /^0[0-9]+$/.test(one))
  return invalid ? null : { numbers, preRelease }
}

function version(args: Arguments, index: number): Version {
  const found = parseVersion(text(args, index))
  if (found === null) throw new BuiltinError(`operand ${index + 1} is not a valid SemVer`)
  return found
}

function compareVersions(a: Version, b: Version): number {
  for (const [i, one] of a.numbers.entries()) {
    const other = b.numbers[i] as bigint
    if (one !== other) return one > other ? 1 : -1
  }
  // The one without a pre-release is greater.
  if (a.preRelease.length === 0 || b.preRelease.length === 0) {
    return Math.sign(Number(a.preRelease.length === 0) - Number(b.preRelease.length === 0))
  }
  for (let i = 0; i < Math.min(a.preRelease.length, b.preRelease.length); i++) {
    const order = compareIdentifiers(a.preRelease[i] as string, b.preRelease[i] as string)
    if (order !== 0) return order
  }
  return Math.sign(a.preRelease.length - b.preRelease.length)
}

/** Numbers by value, and before anything else. */
function compareIdentifiers(a: string, b: string): number {
  const [aNumber, bNumber] = [/^[0-9]+$/.test(a), /^[0-9]+$/.test(b)]
  if (aNumber !== bNumber) return aNumber ? -1 : 1
  if (aNumber) return Math.sign(Number(BigInt(a) - BigInt(b)))
  return a > b ? 1 : a < b ? -1 : 0
}

const uuidSyntax = /^(?:urn:uuid:)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i

/** The 32 digits of a UUID in any of the forms that Go's library reads; null for anything else. */
function uuidDigits(text: string): string | null {
  const bare = /^[0-9a-f]{32}$/i.test(text) ? text : null
  const inner = text.length === 38 ? text.slice(1, -1) : text
  const parts = inner.length === 36 || /^urn:uuid:/i.test(inner) ? uuidSyntax.exec(inner) : null
  return bare?.toLowerCase() ?? parts?.slice(1).join('').toLowerCase() ?? null
}

/** 100-nanosecond steps between 1582-10-15 and 1970-01-01. */
const GREGORIAN = 122_192_928_000_000_000n

function parseUuid(text: string): RegoObject | undefined {
  const digits = uuidDigits(text)
  if (digits === null) return undefined
  const byte = (index: number) => Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16)
  const versionNumber = byte(6) >> 4
  const variant = variantOf(byte(8))
  if (versionNumber !== 1 && versionNumber !== 2) return object({ version: versionNumber, variant })
  const high = BigInt(`0x${digits.slice(12, 16)}`) & 0xfffn
  const steps = (high << 48n) | BigInt(`0x${digits.slice(8, 12)}${digits.slice(0, 8)}`)
  const node = digits.slice(20)
  return object({
    version: versionNumber,
    variant,
    time: integer(BigInt.asIntN(64, (steps - GREGORIAN) * 100n)),
    nodeid: (node.match(/../g) ?? []).join('-'),
    macvariables: `${byte(10) & 2 ? 'local' : 'global'}:${byte(10) & 1 ? 'multicast' : 'unicast'}`,
    clocksequence: ((byte(8) << 8) | byte(9)) & 0x3fff,
    ...(versionNumber === 2 ? { id: Number.parseInt(digits.slice(0, 8), 16), domain: domainOf(byte(9)) } : {}),
  })
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122'
  if ((byte & 0xe0) === 0xc0) return 'Microsoft'
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved'
}

function domainOf(byte: number): string {
  return ['Person', 'Group', 'Org'][byte] ?? `Domain${byte}`
}

export const versionBuiltins: Builtins = {
  'semver.compare': (args) => compareVersions(version(args, 0), version(args, 1)),
  'semver.is_valid': (args) => typeof operand(args, 0) === 'string' && parseVersion(text(args, 0)) !== null,
  'uuid.parse': (args) => parseUuid(text(args, 0)),
  'uuid.rfc4122': (args, { drawn }) => {
    const key = `uuid.rfc4122 ${showValue(operand(args, 0))}`
    const found = drawn.get(key) ?? randomUUID()
    drawn.set(key, found)
    return found
  },
}
