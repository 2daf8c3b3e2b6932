import { equals, isArray, isNumber, isObject, member, numberText, RegoSet, type RegoValue } from '../value.ts'
import { type Arguments, BuiltinError } from './builtin.ts'
import { asObject, asText, list, operand } from './operands.ts'

type Path = readonly RegoValue[]

/** `json.patch`: RFC 6902 for the values of Rego. A path may also be a list; a set is changed by its own items. */
export function patch(args: Arguments): RegoValue {
  let document: RegoValue | undefined = operand(args, 0)
  for (const operation of list(args, 1)) document = apply(document, asObject(operation))
  if (document === undefined) throw new BuiltinError('nothing is left')
  return document
}

function apply(document: RegoValue | undefined, operation: ReadonlyMap<RegoValue, RegoValue>): RegoValue | undefined {
  const given = (name: string): RegoValue => {
    const value = operation.get(name)
    if (value === undefined) throw new BuiltinError(`missing required attribute '${name}'`)
    return value
  }
  const path = parsePath(given('path'))
  switch (asText(given('op'))) {
    case 'add':
      return insert(document, path, given('value'))
    case 'remove':
      return remove(document, path)
    case 'replace':
      return insert(remove(document, path), path, given('value'))
    case 'move': {
      const from = parsePath(given('from'))
      return insert(remove(document, from), path, find(document, from))
    }
    case 'copy':
      return insert(document, path, find(document, parsePath(given('from'))))
    case 'test':
      if (!equals(find(document, path), given('value'))) throw new BuiltinError('the test failed')
      return document
    default:
      throw new BuiltinError('unrecognized op')
  }
}

/** `/a/b` or `["a", "b"]`; `~1` and `~0` stand for `/` and `~`. */
function parsePath(value: RegoValue): Path {
  if (isArray(value)) return value
  const text = asText(value)
  if (text === '') return []
  const parts = text.replace(/^\/+/, '').split('/')
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function find(value: RegoValue | undefined, [key, ...rest]: Path): RegoValue {
  if (value === undefined) throw new BuiltinError('nothing is there')
  if (key === undefined) return value
  return find(child(value, key), rest)
}

function child(value: RegoValue, key: RegoValue): RegoValue {
  let found: RegoValue | undefined
  if (isObject(value)) found = member(value, key)
  else if (value instanceof RegoSet) found = value.items.find((item) => equals(item, key))
  else if (isArray(value)) found = value[indexIn(value, key)]
  if (found === undefined) throw new BuiltinError('the path does not exist')
  return found
}

function insert(into: RegoValue | undefined, [key, ...rest]: Path, value: RegoValue): RegoValue {
  if (key === undefined) return value
  if (into === undefined) throw new BuiltinError('nothing is there')
  if (rest.length > 0) return withChild(into, key, insert(child(into, key), rest, value))
  if (isObject(into)) return withMember(into, key, value)
  if (into instanceof RegoSet) {
    if (!equals(key, value)) throw new BuiltinError('a set has its items at themselves')
    return new RegoSet([...into.items, value])
  }
  if (!isArray(into)) throw new BuiltinError('no place for a value')
  const index = indexIn(into, key)
  if (index > into.length) throw new BuiltinError('index out of bounds')
  return [...into.slice(0, index), value, ...into.slice(index)]
}

function remove(from: RegoValue | undefined, [key, ...rest]: Path): RegoValue | undefined {
  if (from === undefined) throw new BuiltinError('nothing is there')
  if (key === undefined) return undefined
  const found = child(from, key)
  if (rest.length > 0) return withChild(from, key, remove(found, rest) as RegoValue)
  if (isObject(from)) return new Map([...from].filter(([name]) => !equals(name, key)))
  if (from instanceof RegoSet) return new RegoSet(from.items.filter((item) => !equals(item, key)))
  const index = indexIn(from as readonly RegoValue[], key)
  return (from as readonly RegoValue[]).filter((_, at) => at !== index)
}

/** The same value with another one in place of what is at the key. */
function withChild(value: RegoValue, key: RegoValue, changed: RegoValue): RegoValue {
  if (isObject(value)) return withMember(value, key, changed)
  // An item of a set is its own key: what is within it cannot be changed.
  if (!isArray(value)) throw new BuiltinError('the path leads through a set')
  const index = indexIn(value, key)
  return value.map((item, at) => (at === index ? changed : item))
}

function withMember(value: ReadonlyMap<RegoValue, RegoValue>, key: RegoValue, changed: RegoValue): RegoValue {
  const entries = [...value].filter(([name]) => !equals(name, key))
  return new Map([...entries, [key, changed]])
}

function indexIn(items: readonly RegoValue[], key: RegoValue): number {
  if (key === '-') return items.length
  const text = isNumber(key) ? numberText(key) : asText(key)
  if (!/^(?:0|[1-9][0-9]{0,8})$/.test(text)) throw new BuiltinError('no index')
  return Number(text)
}
