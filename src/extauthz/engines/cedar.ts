import { randomUUID } from 'node:crypto'
import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import type { CedarEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { AuthenticationFiles } from './authentication-files.ts'
import { createCedarChecks } from './cedar-checks.ts'
import { CedarEntities, entitiesIn, readEntities } from './cedar-entities.ts'
import { type Cedar, loadCedar } from './cedar-library.ts'
import { type CedarFile, problemIn, readPolicies } from './cedar-policies.ts'
import { type CedarSchema, readSchema } from './cedar-schema.ts'
import { contextPartsOf } from './cedar-wanted.ts'
import type { Engine, EngineLoading, EngineOptions } from './engine.ts'
import { failedWith } from './policy-files.ts'

/** Policies of Cedar decide. */
export function createCedarEngine(engine: CedarEngine, options: EngineOptions): Engine {
  const files = new AuthenticationFiles(engine.tokens, options)
  return {
    async load(): Promise<EngineLoading> {
      const cedar = await loadCedar()
      const policies = await readPolicies(engine.policies, cedar)
      if (policies.kind === 'failed') return policies
      const schema = engine.schema === null ? null : await readSchema(engine.schema, cedar)
      if (schema?.kind === 'failed') return schema
      const found = schema === null ? [] : validate(policies.files, schema.schema, cedar, options.logger)
      if (found.length > 0) return failedWith(found)
      const entities =
        engine.entities === null
          ? ({ kind: 'read', entities: [] } as const)
          : await readEntities(engine.entities, schema?.schema ?? null, cedar)
      if (entities.kind === 'failed') return entities
      const authentication = await files.load()
      if (authentication.kind === 'failed') return authentication

      const all = policies.files.flatMap((file) => file.policies)
      const id = randomUUID()
      prepare(cedar, id, Object.fromEntries(all.map(({ name, text }) => [name, text])), schema?.schema.schema ?? null)
      const json = all.map((policy) => policy.json)
      const prepared = {
        cedar,
        policySet: id,
        forbids: new Set(all.filter((policy) => policy.json.effect === 'forbid').map(({ name }) => name)),
        schema: schema === null ? null : { ...schema.schema, name: id },
        entities: new CedarEntities(entities.entities, entitiesIn(json), schema?.schema.nested ?? true),
        // A schema may require what no policy looks at.
        wanted: schema === null ? contextPartsOf(json) : () => true,
      }
      return {
        kind: 'loaded',
        checks: createCedarChecks(prepared, engine.principal, authentication.authenticator, options),
        close() {
          authentication.release()
          // The library has no way to forget, but a set of its name can be replaced by an empty one.
          prepare(cedar, id, {}, schema === null ? null : '')
        },
      }
    },
    close: () => files.close(),
  }
}

function validate(files: readonly CedarFile[], { schema }: CedarSchema, cedar: Cedar, logger: Logger) {
  return files.flatMap(({ file, text }) => {
    const answer = cedar.validate({ schema, policies: { staticPolicies: text } })
    if (answer.type === 'failure') return answer.errors.map((error) => problemIn(file, text, error))
    for (const { error } of answer.validationWarnings) {
      const { line, column, message } = problemIn(file, text, error)
      logger.warn('policy file', { at: `${file}:${line}:${column}`, problem: message })
    }
    return answer.validationErrors.map(({ error }) => problemIn(file, text, error))
  })
}

/** Throws where Cedar refuses what it has accepted before. */
function prepare(cedar: Cedar, id: string, policies: Record<string, string>, schema: Schema | null): void {
  const answers = [
    cedar.preparsePolicySet(id, { staticPolicies: policies }),
    ...(schema === null ? [] : [cedar.preparseSchema(id, schema)]),
  ]
  for (const answer of answers) {
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'Cedar refused the policies')
  }
}
