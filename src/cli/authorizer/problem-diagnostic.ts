import type { ServeProblem } from '../../extauthz/engines/serve.ts'
import type { Authorizer, AuthorizerEngine } from '../../mesh/authorizer.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** Why an authorizer is not running, at the field that says what it cannot have. */
export function describeProblem(resource: Authorizer, what: ServeProblem, message: string): Diagnostic {
  const { document, path } = resource.origin
  const place = (...fields: readonly string[]) => ({ document, path: [...path, 'spec', ...fields] })
  switch (what) {
    case 'engine': {
      const text = `the engine cannot be loaded: ${oneLine(message)}`
      return diagnostic('SP502', place('engine', ...mainPath(resource.engine)), text)
    }
    case 'grpc':
    case 'http':
      return diagnostic('SP501', place(what, 'listen'), `cannot listen here: ${message}`, {
        help: 'end what listens there, or write another address',
      })
    case 'grpcTls':
    case 'httpTls':
      return diagnostic('SP503', place(what === 'grpcTls' ? 'grpc' : 'http', 'tls'), message, {
        help: 'write PEM files that belong together: `certificate`, `key`, and `clientCa` for mutual TLS',
      })
    default:
      return what satisfies never
  }
}

/** The field that names what an engine is made of. */
function mainPath({ kind }: AuthorizerEngine): readonly string[] {
  switch (kind) {
    case 'module':
    case 'rego':
    case 'cel':
      return [kind, 'path']
    case 'istio':
      return [kind, 'paths']
    case 'opa':
      return [kind, 'url']
    case 'cedar':
      return [kind, 'policies']
    default:
      return kind satisfies never
  }
}

/** Compilers write an excerpt of the source below their message, and the loader names whoever imported: us. */
function oneLine(message: string): string {
  const text = message.split('\n').slice(0, 3).join(' ').trim()
  return text.replace(/ imported from .*[\\/]engines[\\/]module\.js$/, '')
}
