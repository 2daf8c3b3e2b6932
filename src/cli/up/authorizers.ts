import { type ServedAuthorizer, serveAuthorizer } from '../../extauthz/engines/serve.ts'
import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** What runs of one resource. */
interface Served {
  readonly resource: Authorizer
  readonly served: ServedAuthorizer
}

/** The embedded authorizers of one process. */
export class Authorizers {
  readonly #logger: Logger
  readonly #served = new Map<string, Served>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Starts what is new, stops what is gone, reloads engines. What cannot be done is told; what ran goes on. */
  async apply(resources: readonly Authorizer[]): Promise<readonly Diagnostic[]> {
    const names = new Set(resources.map(nameOf))
    for (const [name, { served }] of this.#served) {
      if (names.has(name)) continue
      this.#served.delete(name)
      await served.close()
      this.#logger.info('authorizer stopped', { authorizer: name })
    }
    const problems: Diagnostic[] = []
    for (const resource of resources) {
      const problem = await this.#apply(resource)
      if (problem !== null) problems.push(problem)
    }
    return problems
  }

  async close(): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ served }) => served.close()))
    this.#served.clear()
  }

  async #apply(resource: Authorizer): Promise<Diagnostic | null> {
    const known = this.#served.get(nameOf(resource))
    if (known !== undefined && contentOf(known.resource) === contentOf(resource)) {
      const reloaded = await known.served.reload()
      return reloaded.kind === 'kept' ? describe(resource, 'engine', reloaded.message) : null
    }
    // Its addresses may be the same as before, so the old one makes room first.
    await known?.served.close()
    const failure = await this.#serve(resource)
    if (failure !== null && known !== undefined && (await this.#serve(known.resource)) !== null) {
      this.#served.delete(nameOf(resource))
      this.#logger.error('authorizer stopped: neither its new nor its old configuration can be served', {
        authorizer: nameOf(resource),
      })
    }
    return failure
  }

  async #serve(resource: Authorizer): Promise<Diagnostic | null> {
    const serving = await serveAuthorizer(resource, this.#logger)
    if (serving.kind === 'failed') return describe(resource, serving.what, serving.message)
    const { served } = serving
    this.#served.set(nameOf(resource), { resource, served })
    const { grpc, http } = served.listening
    const address = (at: typeof grpc) => (at === null ? undefined : `${at.host}:${at.port}`)
    this.#logger.info('authorizer listening', {
      authorizer: nameOf(resource),
      grpc: address(grpc),
      http: address(http),
    })
    return null
  }
}

/** At the path of the engine, or at the address: of two the one that the message names. */
function describe(resource: Authorizer, what: 'engine' | 'listen', message: string): Diagnostic {
  const { document, path } = resource.origin
  if (what === 'engine') {
    const place = { document, path: [...path, 'spec', 'engine', 'module', 'path'], at: 'value' } as const
    return diagnostic('SP502', place, `the engine cannot be loaded: ${oneLine(message)}`)
  }
  const port = (address: string | null) => address?.slice(address.lastIndexOf(':'))
  const isHttp = resource.grpc === null || (resource.http !== null && message.endsWith(port(resource.http) ?? ''))
  const place = { document, path: [...path, 'spec', isHttp ? 'http' : 'grpc', 'listen'], at: 'value' } as const
  return diagnostic('SP501', place, `cannot listen here: ${message}`, {
    help: 'end what listens there, or write another address',
  })
}

/** Compilers write an excerpt of the source below their message, and the loader names whoever imported: us. */
function oneLine(message: string): string {
  const text = message.split('\n').slice(0, 3).join(' ').trim()
  return text.replace(/ imported from .*[\\/]engines[\\/]module\.js$/, '')
}

function contentOf({ grpc, http, timeout, engine }: Authorizer): string {
  return JSON.stringify({ grpc, http, timeout, engine })
}

function nameOf({ meta }: Authorizer): string {
  return `${meta.namespace}/${meta.name}`
}
