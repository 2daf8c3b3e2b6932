import { createRequire } from 'node:module'
import type { AuthorizationAnswer, Schema, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'

export type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')

/**
 * The library with a memory of its own. One that has run out of stack, as over a policy of a thousand brackets, is of no
 * use afterwards, and must not be the one that decides. What nobody holds any more goes away as a whole. Takes some 40
 * milliseconds.
 */
export function freshCedar(): Cedar {
  // A loader of its own too: one that stays would hold all that it has loaded.
  const require = createRequire(import.meta.url)
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs')
  delete require.cache[path]
  try {
    return require(path)
  } finally {
    delete require.cache[path]
  }
}

/** Policies by name, and the schema that requests are checked against. */
export interface CedarPolicySet {
  readonly policies: Readonly<Record<string, string>>
  readonly schema: Schema | null
}

type Question = Omit<StatefulAuthorizationCall, 'preparsedPolicySetId' | 'preparsedSchemaName' | 'validateRequest'>

/** Milliseconds between two attempts to make a new instance of one that has broken. */
const REPAIR = 1000

/** Policies that were parsed once. Throws where Cedar throws; an instance that breaks is replaced by the next question. */
export class CedarDecider {
  readonly #set: CedarPolicySet
  #cedar: Cedar | null
  #brokenAt = 0

  constructor(cedar: Cedar, set: CedarPolicySet) {
    this.#set = set
    this.#cedar = prepared(cedar, set)
  }

  isAuthorized(question: Question): AuthorizationAnswer {
    const cedar = this.#cedar ?? this.#repair()
    const schema = this.#set.schema === null ? {} : { preparsedSchemaName: NAME, validateRequest: true }
    try {
      return cedar.statefulIsAuthorized({ ...question, ...schema, preparsedPolicySetId: NAME })
    } catch (error) {
      if (isTrap(error)) {
        this.#cedar = null
        this.#brokenAt = performance.now()
      }
      throw error
    }
  }

  #repair(): Cedar {
    if (performance.now() - this.#brokenAt < REPAIR) throw new Error('the library has broken, and is not repaired yet')
    this.#brokenAt = performance.now()
    this.#cedar = prepared(freshCedar(), this.#set)
    return this.#cedar
  }
}

const NAME = 'own'

function prepared(cedar: Cedar, { policies, schema }: CedarPolicySet): Cedar {
  const answers = [
    cedar.preparsePolicySet(NAME, { staticPolicies: { ...policies } }),
    ...(schema === null ? [] : [cedar.preparseSchema(NAME, schema)]),
  ]
  for (const answer of answers) {
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'Cedar refused the policies')
  }
  return cedar
}

/** What leaves a WebAssembly instance in a state that nobody knows. */
export function isTrap(error: unknown): boolean {
  return error instanceof Error && (error.name === 'RuntimeError' || error.name === 'RangeError')
}
