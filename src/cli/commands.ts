import type { Command } from './command.ts'
import { analyze } from './commands/analyze.ts'
import { authorizer } from './commands/authorizer.ts'
import { ca } from './commands/ca.ts'
import { completion } from './commands/completion.ts'
import { envoy } from './commands/envoy.ts'
import { explain } from './commands/explain.ts'
import { token } from './commands/token.ts'
import { up } from './commands/up.ts'

export const commands: readonly Command[] = [up, authorizer, analyze, explain, envoy, ca, token, completion]
