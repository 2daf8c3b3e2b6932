import { wholeNumber } from '../decimal.ts'
import {
  isArray,
  isNumber,
  isObject,
  numberText,
  type RegoObject,
  RegoSet,
  type RegoValue,
  typeName,
} from '../value.ts'
import { type Arguments, BuiltinError } from './builtin.ts'

/** The argument at an index, which the compiler has counted. */
export function operand(args: Arguments, index: number): RegoValue {
  return args[index] as RegoValue
}

export function text(args: Arguments, index: number): string {
  return asText(operand(args, index))
}

export function asText(value: RegoValue | undefined): string {
  if (typeof value !== 'string') throw wrongType('string', value)
  return value
}

/** The whole number that an argument is, however it is written. */
export function whole(args: Arguments, index: number): bigint {
  return asWhole(operand(args, index))
}

export function asWhole(value: RegoValue | undefined): bigint {
  if (!isNumber(value)) throw wrongType('number', value)
  const found = wholeNumber(numberText(value))
  if (found === null) throw wrongType('integer', value)
  return found
}

/** A whole number that a double holds exactly, and that is written as one: `1.0` is none here. */
export function smallWhole(args: Arguments, index: number): number {
  const value = operand(args, index)
  if (!isNumber(value) || !/^-?[0-9]+$/.test(numberText(value))) throw wrongType('integer', value)
  const found = BigInt(numberText(value))
  if (found > BigInt(Number.MAX_SAFE_INTEGER) || found < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new BuiltinError(`operand ${index + 1} is too large`)
  }
  return Number(found)
}

export function members(args: Arguments, index: number): RegoObject {
  return asObject(operand(args, index))
}

export function asObject(value: RegoValue | undefined): RegoObject {
  if (value === undefined || !isObject(value)) throw wrongType('object', value)
  return value
}

export function list(args: Arguments, index: number): readonly RegoValue[] {
  return asList(operand(args, index))
}

export function asList(value: RegoValue | undefined): readonly RegoValue[] {
  if (value === undefined || !isArray(value)) throw wrongType('array', value)
  return value
}

/** The items of an array or a set. */
export function collection(value: RegoValue): readonly RegoValue[] {
  if (value instanceof RegoSet) return value.items
  return asList(value)
}

export function wrongType(wanted: string, value: RegoValue | undefined): BuiltinError {
  return new BuiltinError(`must be ${wanted} but got ${value === undefined ? 'nothing' : typeName(value)}`)
}
