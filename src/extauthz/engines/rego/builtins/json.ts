import { type Indentation, printGoJson } from '../go/json.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { patch } from './json-patch.ts'
import { asText, members, operand } from './operands.ts'

function marshalWithOptions(args: Arguments): string {
  const options = members(args, 1)
  for (const name of options.keys()) {
    if (name !== 'prefix' && name !== 'indent' && name !== 'pretty') throw new BuiltinError('unknown option')
  }
  const prefix = asText(options.get('prefix') ?? '')
  const indent = asText(options.get('indent') ?? '\t')
  const pretty = options.get('pretty') ?? (options.has('prefix') || options.has('indent'))
  if (typeof pretty !== 'boolean') throw new BuiltinError('pretty must be a boolean')
  const lines: Indentation | null = pretty ? { prefix, indent } : null
  return (pretty ? prefix : '') + printGoJson(operand(args, 0), lines)
}

export const jsonBuiltins: Builtins = {
  'json.patch': patch,
  'json.marshal_with_options': marshalWithOptions,
}
