import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import { AuthenticationFiles } from './authentication-files.ts'
import { createCelChecks } from './cel-checks.ts'
import { type CelProblem, compileCel } from './cel-expression.ts'
import type { Engine, EngineLoading, EngineOptions } from './engine.ts'
import { failedWith } from './policy-files.ts'
import { readTextFile } from './text-file.ts'

const MOST_BYTES = 64 * 1024

/** One expression of the Common Expression Language decides. */
export function createCelEngine(
  { path, tokens }: Extract<AuthorizerEngine, { readonly kind: 'cel' }>,
  options: EngineOptions,
): Engine {
  const files = new AuthenticationFiles(tokens, options)
  return {
    async load(): Promise<EngineLoading> {
      const file = await readTextFile(path, MOST_BYTES)
      if (file.kind === 'failed') return file
      const compiled = compileCel(file.text)
      if (compiled.kind === 'problems') return failedWith(compiled.problems.map((one) => problemIn(path, one)))
      const authentication = await files.load()
      if (authentication.kind === 'failed') return authentication
      const { authenticator, release } = authentication
      return {
        kind: 'loaded',
        checks: createCelChecks(compiled.expression, authenticator, options),
        close: release,
      }
    },
    close: () => files.close(),
  }
}

function problemIn(file: string, { line, column, message, help }: CelProblem) {
  return diagnostic('SP502', { file, line, column }, message, help === undefined ? {} : { help })
}
