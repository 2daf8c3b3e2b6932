import type { JwtRule } from '../mesh/request-authentication.ts'
import { type JwksCacheOptions, RemoteJwks, type RemoteKeys } from './jwks-cache-entry.ts'
import { JwksMetrics } from './jwks-cache-metrics.ts'
import { fixedKeys, type KeySource, type RuleKeys } from './key-source.ts'

export type { Fetched, FetchKeys, JwksCacheOptions, JwksTiming } from './jwks-cache-entry.ts'

/** Fetched keys, one copy for all rules that name the same URI. Timers never keep the process alive. */
export interface JwksCache extends KeySource {
  /** Starts fetching for these rules and forgets what only others used. To be called with every new configuration. */
  use(rules: readonly JwtRule[]): void
  /** Resolves when each set of keys in use has been fetched, or could not be. Never rejects. */
  ready(): Promise<void>
  /** A sentence for each set in use whose last fetch failed; none holds a secret. */
  problems(): readonly string[]
  /** Ends every timer and fetch. Keys at hand stay usable. */
  close(): void
}

export function createJwksCache(options: JwksCacheOptions): JwksCache {
  const entries = new Map<string, RemoteJwks>()
  /** By their text, so that the same keys after a reload are the same set. */
  const inline = new Map<string, RuleKeys>()
  const metrics = new JwksMetrics(options.metrics)
  let closed = false

  function entryFor(keys: RemoteKeys, timeout: number): RemoteJwks {
    const id = `${keys.kind} ${keys.kind === 'uri' ? keys.uri : keys.issuer}`
    let entry = entries.get(id)
    if (entry === undefined) {
      entry = new RemoteJwks(keys, options, metrics)
      entries.set(id, entry)
    }
    entry.allow(timeout)
    if (closed) entry.close()
    else entry.start()
    return entry
  }

  function inlineFor(jwks: string): RuleKeys {
    const known = inline.get(jwks) ?? fixedKeys(jwks)
    inline.set(jwks, known)
    return known
  }

  return {
    keysFor: ({ keys, timeout }): RuleKeys => (keys.kind === 'inline' ? inlineFor(keys.jwks) : entryFor(keys, timeout)),
    use(rules) {
      const used = new Set<RuleKeys>()
      for (const { keys, timeout } of rules)
        used.add(keys.kind === 'inline' ? inlineFor(keys.jwks) : entryFor(keys, timeout))
      for (const [jwks, keys] of inline) if (!used.has(keys)) inline.delete(jwks)
      for (const [id, entry] of entries) {
        if (used.has(entry)) continue
        entry.close()
        metrics.forget(entry.name)
        entries.delete(id)
      }
    },
    async ready() {
      await Promise.all([...entries.values()].map((entry) => entry.settled()))
    },
    problems: () => [...entries.values()].flatMap((entry) => entry.problem() ?? []),
    close() {
      closed = true
      for (const entry of entries.values()) entry.close()
    },
  }
}
