import { parseParameters, unescapeForm } from '../../opa-envoy/url-encoding.ts'
import { escapeQuery, parseUrl } from '../go/url.ts'
import { printJson } from '../text.ts'
import { object, type RegoObject, type RegoValue, sortedEntries } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { asText, collection, members, operand, text } from './operands.ts'

function parse(args: Arguments): RegoObject {
  const url = parseUrl(text(args, 0))
  if (url === null) throw new BuiltinError('no URL')
  const { scheme, hostname, port, path, rawPath: raw_path, rawQuery: raw_query, fragment } = url
  const parts = { scheme, hostname, port, path, raw_path, raw_query, fragment }
  const given = Object.entries(parts).filter(([, value]) => value !== '')
  return object(Object.fromEntries(given))
}

function encodeObject(args: Arguments): string {
  const named = sortedEntries(members(args, 0)).map(([key, value]): [string, RegoValue] => [
    typeof key === 'string' ? key : printJson(key),
    value,
  ])
  const pairs = named.flatMap(([key, value]) => {
    const values = typeof value === 'string' ? [value] : collection(value).map(asText)
    return values.map((one) => `${escapeQuery(key)}=${escapeQuery(one)}`)
  })
  return pairs.join('&')
}

function decodeObject(args: Arguments): RegoObject {
  const parameters = parseParameters(text(args, 0))
  if (parameters === null) throw new BuiltinError('the query is malformed')
  return parameters
}

function decode(args: Arguments): string {
  const decoded = unescapeForm(text(args, 0))
  if (decoded === null) throw new BuiltinError('the text is malformed')
  return decoded
}

export const urlBuiltins: Builtins = {
  'uri.parse': parse,
  'uri.is_valid': (args) => {
    const value = operand(args, 0)
    return typeof value === 'string' && value !== '' && parseUrl(value) !== null
  },
  'urlquery.encode': (args) => escapeQuery(text(args, 0)),
  'urlquery.encode_object': encodeObject,
  'urlquery.decode': decode,
  'urlquery.decode_object': decodeObject,
}
