import type { CedarEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { AuthenticationFiles } from './authentication-files.ts'
import { createCedarChecks } from './cedar-checks.ts'
import { CedarEntities, entitiesIn, readEntities } from './cedar-entities.ts'
import { type Cedar, CedarDecider, freshCedar, isTrap } from './cedar-library.ts'
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
      try {
        return await load(engine, files, options)
      } catch (error) {
        if (!isTrap(error)) throw error
        return { kind: 'failed', message: `${engine.policies}: Cedar breaks on it: it may be nested too deeply` }
      }
    },
    close: () => files.close(),
  }
}

async function load(engine: CedarEngine, files: AuthenticationFiles, options: EngineOptions): Promise<EngineLoading> {
  const cedar = freshCedar()
  const policies = await readPolicies(engine.policies, cedar)
  if (policies.kind === 'failed') return policies
  const schema = engine.schema === null ? null : await readSchema(engine.schema, cedar)
  if (schema?.kind === 'failed') return schema
  const found = schema === null ? [] : validate(policies.files, schema.schema, cedar, options.logger)
  if (found.length > 0) return failedWith(found)
  const entities = engine.entities === null ? null : await readEntities(engine.entities, schema?.schema ?? null, cedar)
  if (entities?.kind === 'failed') return entities

  const all = policies.files.flatMap((file) => file.policies)
  const json = all.map((policy) => policy.json)
  const prepared = {
    decider: new CedarDecider(cedar, {
      policies: Object.fromEntries(all.map(({ name, text }) => [name, text])),
      schema: schema?.schema.schema ?? null,
    }),
    forbids: new Set(all.filter((policy) => policy.json.effect === 'forbid').map(({ name }) => name)),
    schema: schema?.schema ?? null,
    entities: new CedarEntities(entities?.entities ?? [], entitiesIn(json), schema?.schema.nested ?? true),
    // A schema may require what no policy looks at.
    wanted: schema === null ? contextPartsOf(json) : () => true,
  }
  const authentication = await files.load()
  if (authentication.kind === 'failed') return authentication
  const { authenticator, release } = authentication
  return {
    kind: 'loaded',
    checks: createCedarChecks(prepared, engine.principal, authenticator, options),
    close: release,
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
