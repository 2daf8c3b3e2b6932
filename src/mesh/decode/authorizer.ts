import type { Authorizer, AuthorizerEngine } from '../authorizer.ts'
import { placed } from '../authorizer.ts'
import type { Meta, Origin } from '../resource.ts'
import { grpcListener, httpListener } from './authorizer-listener.ts'
import { besideDocument } from './beside-document.ts'
import { map, string } from './decoder.ts'
import { duration } from './duration.ts'
import { cedar, cel, istio } from './engines.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record, required } from './record.ts'

const DEFAULT_TIMEOUT = 1000
const HOUR = 3_600_000

const timeout = map(duration, (milliseconds, at): number | undefined => {
  if (milliseconds > 0 && milliseconds <= HOUR) return milliseconds
  const help = 'write how long a check may take: `1s`'
  at.report('SP106', 'a check has more than no time and at most an hour', { help })
  return undefined
})

const DEFAULT_QUERY = 'data.envoy.authz.allow'

const query = optional(string, DEFAULT_QUERY)

/** One decoder for each engine, which gives it with its paths as they were written. */
const engines = {
  module: map(record({ path: required(string) }), ({ path }) => ({ kind: 'module', path }) as const),
  istio,
  rego: map(record({ path: required(string), query }), (value) => ({ kind: 'rego', ...value }) as const),
  opa: map(
    record({ url: required(string), query, ca: optional(string, null), token: optional(string, null) }),
    (value) => ({ kind: 'opa', ...value }) as const,
  ),
  cel,
  cedar,
}

const names = Object.keys(engines) as (keyof typeof engines)[]

const engine = map(
  record({
    module: optional(engines.module, null),
    istio: optional(engines.istio, null),
    rego: optional(engines.rego, null),
    opa: optional(engines.opa, null),
    cel: optional(engines.cel, null),
    cedar: optional(engines.cedar, null),
  }),
  (value, at): AuthorizerEngine | undefined => {
    const written = names.filter((name) => Object.hasOwn(at.value as object, name))
    const [first, second] = written
    if (first === undefined) {
      at.report('SP105', 'an engine is required', { help: 'write `module: { path: ./authorizer.ts }`' })
    } else if (second !== undefined) {
      const help = `keep \`${first}\` or \`${second}\`, or write an Authorizer for each`
      at.child(second, null).report('SP106', 'an Authorizer has one engine', { help })
    } else {
      const found = value[first]
      // One that could not be read has been reported.
      if (found !== null) return placed(found, (path) => besideDocument(path, at))
    }
    return undefined
  },
)

const spec = map(
  record({
    grpc: optional(grpcListener, null),
    http: optional(httpListener, null),
    timeout: optional(timeout, DEFAULT_TIMEOUT),
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
  const { engine } = raw.spec
  const own = engine.kind === 'istio' ? { ...engine, namespace: meta.namespace } : engine
  return { kind: 'Authorizer', meta, origin, ...raw.spec, engine: own }
}
