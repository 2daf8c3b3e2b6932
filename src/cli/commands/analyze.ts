import type { Code } from '../../source/catalog.ts'
import { InputFiles } from '../../source/input-files.ts'
import { analyze as analyzeMesh } from '../../tools/analyze/analyze.ts'
import { type Args, type Command, FILE, NAMESPACE, type Program, UsageError } from '../command.ts'
import { isUnparsable, sortDiagnostics } from '../diagnostics.ts'
import { github } from '../findings/github.ts'
import { sarif } from '../findings/sarif.ts'
import { text } from '../findings/text.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { load } from '../load.ts'
import { style } from '../style.ts'

export const analyze: Command = {
  name: 'analyze',
  summary: 'find mistakes and traps in the files',
  description:
    'Reads every file and names what is wrong or most likely not meant, each with its place, a stable code and what to\nwrite instead. Exits with 1 when there is an error or a warning, with 3 when a file could not be parsed.',
  usage: ['analyze PATH... [-o text|json|sarif|github]'],
  positionals: { kind: 'paths', name: 'PATH' },
  options: [
    {
      name: 'output',
      short: 'o',
      value: 'FORMAT',
      choices: ['text', 'json', 'sarif', 'github'],
      help: 'text (default), json, sarif or github (annotations)',
    },
    FILE,
    NAMESPACE,
  ],
  examples: [
    ['sallyport analyze examples/mistakes', 'everything that is wrong in a folder, with what to write instead'],
    ['sallyport analyze examples/frontend-backend -o github', 'the same as annotations on a pull request'],
  ],
  run,
}

/** Notes on what would be decided otherwise elsewhere, which nobody should have to ask for. */
const alwaysSaid: ReadonlySet<Code> = new Set(['SP410'])

async function run(args: Args, io: Io, { version }: Program): Promise<ExitCode> {
  const paths = [...args.positionals, ...args.values('file')]
  if (paths.length === 0) throw new UsageError('no files: sallyport analyze PATH...', 'for example: analyze policies/')
  const loaded = await load(new InputFiles(paths, io), args.value('namespace'))
  const all = sortDiagnostics([...loaded.diagnostics, ...analyzeMesh(loaded.mesh)])
  const findings = all.filter((one) => one.severity !== 'info' || args.flag('verbose') || alwaysSaid.has(one.code))
  switch (args.value('output')) {
    case 'json':
      io.stdout(`${JSON.stringify({ findings }, null, 2)}\n`)
      break
    case 'sarif':
      io.stdout(`${JSON.stringify(sarif(findings, version), null, 2)}\n`)
      break
    case 'github':
      io.stdout(github(findings))
      break
    default:
      io.stdout(text(findings, style(io.color.stdout && !args.flag('no-color'))))
  }
  if (all.some(isUnparsable)) return EXIT.invalid
  return findings.some((one) => one.severity !== 'info') ? EXIT.findings : EXIT.ok
}
