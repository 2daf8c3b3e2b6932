import type { Builtins } from './builtin.ts'
import { cryptoBuiltins } from './crypto.ts'
import { hostBuiltins } from './host.ts'
import { jsonBuiltins } from './json.ts'
import { jwtBuiltins } from './jwt.ts'
import { netBuiltins } from './net.ts'
import { objectBuiltins } from './objects.ts'
import { regexBuiltins } from './regexes.ts'
import { stringBuiltins } from './strings.ts'
import { timeBuiltins } from './time.ts'
import { unitBuiltins } from './units.ts'
import { urlBuiltins } from './urls.ts'
import { versionBuiltins } from './versions.ts'

/** The built-in functions that OPA's WebAssembly leaves to its host, by name. */
export const builtins: Builtins = {
  ...cryptoBuiltins,
  ...hostBuiltins,
  ...jsonBuiltins,
  ...jwtBuiltins,
  ...netBuiltins,
  ...objectBuiltins,
  ...regexBuiltins,
  ...stringBuiltins,
  ...timeBuiltins,
  ...unitBuiltins,
  ...urlBuiltins,
  ...versionBuiltins,
}
