import { catalog } from '../../source/catalog.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { analyze as analyzeMesh } from '../../tools/analyze/analyze.ts'
import { type Args, type Command, NAMESPACE, UsageError } from '../command.ts'
import { isUnparsable, printDiagnostic, sortDiagnostics } from '../diagnostics.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { load } from '../load.ts'
import { style } from '../style.ts'

export const analyze: Command = {
  name: 'analyze',
  summary: 'find mistakes and traps in the files',
  description:
    'Reads every file and names what is wrong or most likely not meant, each with its place, a stable code and what to\nwrite instead. Exits with 1 when there is an error or a warning, with 3 when a file could not be parsed.',
  usage: ['analyze PATH... [-o text|json|sarif|github]'],
  positionals: 'PATH',
  options: [
    { name: 'output', short: 'o', value: 'FORMAT', help: 'text (default), json, sarif or github (annotations)' },
    NAMESPACE,
  ],
  examples: [
    ['sallyport analyze policies/', 'everything that is wrong in a folder'],
    ['sallyport analyze policies/ -o github', 'annotations on a pull request'],
  ],
  run,
}

const printers: Readonly<Record<string, (findings: readonly Diagnostic[], args: Args, io: Io) => string>> = {
  text: (findings, args, io) => text(findings, args, io),
  json: (findings) => `${JSON.stringify({ findings }, null, 2)}\n`,
  sarif: (findings) => `${JSON.stringify(sarif(findings), null, 2)}\n`,
  github: (findings) => findings.map(annotation).join(''),
}

async function run(args: Args, io: Io): Promise<ExitCode> {
  const format = args.value('output') ?? 'text'
  const printer = Object.hasOwn(printers, format) ? printers[format] : undefined
  if (printer === undefined) {
    throw new UsageError(`unknown output format \`${format}\``, `one of ${Object.keys(printers).join(', ')}`)
  }
  if (args.positionals.length === 0) throw new UsageError('no files: sallyport analyze PATH...')
  const loaded = await load(args.positionals, args.value('namespace'), io)
  const all = sortDiagnostics([...loaded.diagnostics, ...analyzeMesh(loaded.mesh)])
  const findings = all.filter((one) => one.severity !== 'info' || args.flag('verbose'))
  io.stdout(printer(findings, args, io))
  if (all.some(isUnparsable)) return EXIT.invalid
  return findings.some((one) => one.severity !== 'info') ? EXIT.findings : EXIT.ok
}

function text(findings: readonly Diagnostic[], args: Args, io: Io): string {
  const paint = style(io.color.stdout && !args.flag('no-color'))
  const count = (severity: Diagnostic['severity']) => findings.filter((one) => one.severity === severity).length
  const summary =
    findings.length === 0
      ? 'nothing found\n'
      : `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}\n`
  return findings.map((one) => printDiagnostic(one, paint)).join('') + paint.bold(summary)
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

const levels = { error: 'error', warning: 'warning', info: 'note' } as const

/** SARIF 2.1.0, the least that code scanners read. */
function sarif(findings: readonly Diagnostic[]): object {
  const rules = [...new Set(findings.map((one) => one.code))].map((id) => ({
    id,
    shortDescription: { text: catalog[id].title },
  }))
  const results = findings.map((one) => ({
    ruleId: one.code,
    level: levels[one.severity],
    message: { text: one.help === undefined ? one.message : `${one.message}\n${one.help}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: one.file },
          ...(one.line === undefined ? {} : { region: { startLine: one.line, startColumn: one.column } }),
        },
      },
    ],
  }))
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'sallyport', rules } }, results }],
  }
}

/** A GitHub workflow command. */
function annotation(one: Diagnostic): string {
  const level = one.severity === 'info' ? 'notice' : one.severity
  const place = [
    `file=${property(one.file)}`,
    ...(one.line === undefined ? [] : [`line=${one.line}`, `col=${one.column}`]),
  ]
  const message = one.help === undefined ? one.message : `${one.message}\n${one.help}`
  return `::${level} ${place.join(',')},title=${one.code}::${data(message)}\n`
}

function data(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')
}

function property(text: string): string {
  return data(text).replace(/:/g, '%3A').replace(/,/g, '%2C')
}
