import { dirname, isAbsolute, join } from 'node:path'
import type { Authorizer, AuthorizerEngine } from '../authorizer.ts'
import type { Meta, Origin } from '../resource.ts'
import type { Cursor } from './cursor.ts'
import { anything, map, string } from './decoder.ts'
import { duration } from './duration.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record, required } from './record.ts'

const DEFAULT_TIMEOUT = 1000

const listen = map(string, (text, at): string | undefined => {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):([0-9]{1,5})$/.exec(text)
  if (parts !== null && Number(parts[2]) <= 65535) return text
  at.report('SP106', `\`${text}\` is not an address to listen on`, {
    help: 'write HOST:PORT: `127.0.0.1:9191`',
  })
  return undefined
})

const listener = map(record({ listen: required(listen) }), (value) => value.listen)

const unavailable = ['istio', 'rego', 'opa', 'cel', 'cedar'] as const
const others = Object.fromEntries(unavailable.map((name) => [name, optional(anything, null)]))

const engine = map(
  record({ module: optional(record({ path: required(string) }), null), ...others }),
  (value, at): AuthorizerEngine | undefined => {
    const object = at.value as object
    for (const name of unavailable) {
      if (!Object.hasOwn(object, name)) continue
      const help = 'write the decision in TypeScript: `module: { path: ./authorizer.ts }`'
      at.child(name, null).report('SP106', `the engine \`${name}\` is not available in this version`, { help })
      return undefined
    }
    if (value.module !== null) return { kind: 'module', path: besideDocument(value.module.path, at) }
    // A module that could not be read has been reported.
    if (!Object.hasOwn(object, 'module')) {
      at.report('SP105', 'an engine is required', { help: 'write `module: { path: ./authorizer.ts }`' })
    }
    return undefined
  },
)

function besideDocument(path: string, at: Cursor): string {
  return isAbsolute(path) ? path : join(dirname(at.decoding.document.file), path)
}

const spec = map(
  record({
    grpc: optional(listener, null),
    http: optional(listener, null),
    timeout: optional(duration, DEFAULT_TIMEOUT),
    engine: required(engine),
  }),
  (value, at) => {
    const object = at.value as object
    if (!Object.hasOwn(object, 'grpc') && !Object.hasOwn(object, 'http')) {
      const help = 'write `grpc: { listen: 127.0.0.1:9191 }`, `http: { listen: 127.0.0.1:8000 }`, or both'
      at.report('SP105', 'an authorizer needs an address to listen on', { help })
      return undefined
    }
    return value
  },
)

type Spec = NonNullable<ReturnType<typeof spec.decode>>

export const authorizer = customResource(required(spec))

export function toAuthorizer(raw: RawResource<Spec>, meta: Meta, origin: Origin): Authorizer {
  return { kind: 'Authorizer', meta, origin, ...raw.spec }
}
