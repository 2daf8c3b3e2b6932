import type { RunOpa } from '../../extauthz/engines/rego/compile.ts'
import { type LoadedEngine, type ServedAuthorizer, serveAuthorizer } from '../../extauthz/engines/serve.ts'
import type { Authorizer, AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** What is to become of the authorizers, already listening: one of the two ends it. */
export type AuthorizerChange =
  | { readonly kind: 'failed'; readonly problems: readonly Diagnostic[] }
  | {
      readonly kind: 'prepared'
      /** Ends those that are gone, and takes the engines of the others that were loaded anew. */
      commit(): Promise<void>
      /** Back to what was there before. */
      undo(): Promise<void>
    }

/** What runs of one resource. */
interface Entry {
  readonly resource: Authorizer
  readonly served: ServedAuthorizer
}

/**
 * The embedded authorizers of one process. A changed one is started before the old one goes, unless they have an
 * address in common.
 */
export class Authorizers {
  readonly #logger: Logger
  readonly #runOpa: RunOpa
  #served: ReadonlyMap<string, Entry> = new Map()

  constructor(logger: Logger, runOpa: RunOpa) {
    this.#logger = logger
    this.#runOpa = runOpa
  }

  /** Starts what is new or changed. When any of it cannot be started, what runs goes on as it was. */
  async prepare(resources: readonly Authorizer[]): Promise<AuthorizerChange> {
    const next = new Map<string, Entry>()
    const engines: LoadedEngine[] = []
    const started: Entry[] = []
    const ended = new Map<string, Entry>()
    const problems: Diagnostic[] = []
    const kept = new Set(resources.map((resource) => this.#same(resource)))
    for (const resource of resources) {
      const same = this.#same(resource)
      if (same !== null) {
        const engine = await same.served.load()
        if (engine.kind === 'failed') problems.push(describe(resource, 'engine', engine.message))
        else engines.push(engine)
        next.set(nameOf(resource), { ...same, resource })
        continue
      }
      const entry = await this.#start(resource, () => this.#makeRoom(resource, kept, ended))
      if ('code' in entry) problems.push(entry)
      else {
        started.push(entry)
        next.set(nameOf(resource), entry)
      }
    }
    const undo = () => this.#undo(started, ended)
    if (problems.length > 0) {
      await undo()
      return { kind: 'failed', problems }
    }
    const commit = async () => {
      const before = this.#served
      this.#served = next
      for (const engine of engines) engine.use()
      for (const [name, entry] of before) {
        if (next.get(name)?.served !== entry.served && !ended.has(name)) await entry.served.close()
        if (!next.has(name)) this.#logger.info('authorizer stopped', { authorizer: name })
      }
    }
    return { kind: 'prepared', commit, undo }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ served }) => served.close()))
    this.#served = new Map()
  }

  /** Ends those that have an address of `resource` and do not stay as they are. */
  async #makeRoom(resource: Authorizer, kept: ReadonlySet<Entry | null>, ended: Map<string, Entry>): Promise<void> {
    for (const [name, entry] of this.#served) {
      if (kept.has(entry) || ended.has(name) || !shareAddress(entry.resource, resource)) continue
      ended.set(name, entry)
      await entry.served.close()
    }
  }

  async #undo(started: readonly Entry[], ended: ReadonlyMap<string, Entry>): Promise<void> {
    await Promise.all(started.map(({ served }) => served.close()))
    const restored = new Map(this.#served)
    for (const [name, { resource }] of ended) {
      const entry = await this.#start(resource)
      if ('code' in entry) {
        restored.delete(name)
        this.#logger.error('authorizer cannot be started again', { authorizer: name, reason: entry.message })
      } else restored.set(name, entry)
    }
    this.#served = restored
  }

  /** The one that runs already as the resource says; null when there is none. */
  #same(resource: Authorizer): Entry | null {
    const known = this.#served.get(nameOf(resource))
    return known !== undefined && contentOf(known.resource) === contentOf(resource) ? known : null
  }

  async #start(resource: Authorizer, makeRoom?: () => Promise<void>): Promise<Entry | Diagnostic> {
    const serving = await serveAuthorizer(resource, this.#logger, makeRoom, this.#runOpa)
    if (serving.kind === 'failed') return describe(resource, serving.what, serving.message)
    const { grpc, http } = serving.served.listening
    const address = (at: typeof grpc) => (at === null ? undefined : `${at.host}:${at.port}`)
    this.#logger.info('authorizer listening', {
      authorizer: nameOf(resource),
      grpc: address(grpc),
      http: address(http),
    })
    return { resource, served: serving.served }
  }
}

/** At the path of the engine, or at the address: of two the one that the message names. */
function describe(resource: Authorizer, what: 'engine' | 'listen', message: string): Diagnostic {
  const { document, path } = resource.origin
  if (what === 'engine') {
    const place = { document, path: [...path, 'spec', 'engine', ...mainPath(resource.engine)] }
    return diagnostic('SP502', place, `the engine cannot be loaded: ${oneLine(message)}`)
  }
  const port = (address: string | null) => address?.slice(address.lastIndexOf(':'))
  const isHttp = resource.grpc === null || (resource.http !== null && message.endsWith(port(resource.http) ?? ''))
  const place = { document, path: [...path, 'spec', isHttp ? 'http' : 'grpc', 'listen'] }
  return diagnostic('SP501', place, `cannot listen here: ${message}`, {
    help: 'end what listens there, or write another address',
  })
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

function contentOf({ grpc, http, timeout, engine }: Authorizer): string {
  return JSON.stringify({ grpc, http, timeout, engine })
}

function shareAddress(a: Authorizer, b: Authorizer): boolean {
  return [a.grpc, a.http].some((address) => address !== null && (address === b.grpc || address === b.http))
}

function nameOf({ meta }: Authorizer): string {
  return `${meta.namespace}/${meta.name}`
}
