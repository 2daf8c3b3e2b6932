import type { ProxyEnvironment } from '../../authn/http-fetch-proxy.ts'
import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { consoleLogger } from '../server/console-logger.ts'
import type { Checks } from '../server/judge.ts'
import { before } from './deadline.ts'
import { loadModule } from './module.ts'
import type { RunOpa } from './rego/compile.ts'

/** What loading an engine's files gave, or why there is nothing to check with. */
export type EngineLoading =
  | {
      readonly kind: 'loaded'
      readonly checks: Checks
      /** Lets go of what these checks hold. To be called once they, and whoever might still ask them, are done. */
      readonly close?: () => void
    }
  | {
      readonly kind: 'failed'
      /** One line for a diagnostic, or more where a compiler says more. Names no secret. */
      readonly message: string
      /** Each problem at its place in the engine's own files. The message tells the first of them. */
      readonly diagnostics?: readonly Diagnostic[]
    }

/** Plain data but for the logger, the clock and the metrics. */
export interface EngineOptions {
  readonly logger: Logger
  /** Milliseconds since the epoch; what tokens are judged by. Default: `Date.now`. */
  readonly now?: () => number
  readonly metrics?: MetricsRegistry
  /** How keys of tokens are fetched. */
  readonly keys?: {
    /** PEM certificates to trust beside the platform's. */
    readonly ca?: readonly string[]
    /** HTTPS_PROXY and its like. */
    readonly proxy?: ProxyEnvironment
  }
  /** Milliseconds that loading may take; default 10,000. */
  readonly loadTimeout?: number
  /** Runs `opa`, which compiles Rego; absent or null where nothing may be compiled. */
  readonly runOpa?: RunOpa | null
}

/** An engine that loads its files again and again. What it keeps in between (fetched keys) outlives each load. */
export interface Engine {
  /** Never throws: an engine that cannot be loaded is a value. */
  load(): Promise<EngineLoading>
  close(): void
}

const LOAD_TIMEOUT = 10_000

/** Without a logger, warnings go to the console. */
export function createEngine(engine: AuthorizerEngine, given: Partial<EngineOptions> = {}): Engine {
  const options: EngineOptions = { logger: consoleLogger, ...given }
  const { load, close } = engineOf(engine, options)
  const timeout = options.loadTimeout ?? LOAD_TIMEOUT
  return {
    async load() {
      try {
        const loading = await before(timeout, load(), closeLate)
        return loading ?? { kind: 'failed', message: `loading took longer than ${timeout} ms` }
      } catch (error) {
        return { kind: 'failed', message: error instanceof Error ? error.message : String(error) }
      }
    },
    close,
  }
}

/** Loads the files of an engine once. Never throws. */
export function loadEngine(engine: AuthorizerEngine, options: Partial<EngineOptions> = {}): Promise<EngineLoading> {
  return createEngine(engine, options).load()
}

function closeLate(loading: EngineLoading): void {
  if (loading.kind === 'loaded') loading.close?.()
}

function engineOf(engine: AuthorizerEngine, options: EngineOptions): Engine {
  switch (engine.kind) {
    case 'module':
      return { load: () => loadModule(engine.path), close: nothing }
    case 'istio':
      return onceNeeded(async () => (await import('./istio.ts')).createIstioEngine(engine, options))
    case 'cel':
      return onceNeeded(async () => (await import('./cel.ts')).createCelEngine(engine, options))
    case 'cedar':
      return onceNeeded(async () => (await import('./cedar.ts')).createCedarEngine(engine, options))
    case 'rego':
      return onceNeeded(async () => {
        const { loadRego } = await import('./rego/engine.ts')
        const how = { logger: options.logger, runOpa: options.runOpa ?? null }
        return { load: () => loadRego(engine.path, engine.query, how), close: nothing }
      })
    case 'opa':
      return onceNeeded(async () => {
        const { loadOpa } = await import('./opa/engine.ts')
        return { load: () => loadOpa(engine, options.logger), close: nothing }
      })
    default:
      return engine satisfies never
  }
}

function nothing(): void {}

/** Each engine brings code that the others have no use for. */
function onceNeeded(make: () => Promise<Engine>): Engine {
  let made: Promise<Engine> | null = null
  return {
    async load() {
      made ??= make()
      return (await made).load()
    },
    close: () => void made?.then((engine) => engine.close()),
  }
}
