import type { Workload } from '../../mesh/workload.ts'
import type { Explainer, Explanation } from '../../tools/explain.ts'
import { isProblem, parseRequest, type RequestProblem, type TestRequest } from '../../tools/request.ts'
import type { Args } from '../command.ts'
import { type InputLine, readLines } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import type { Notes } from '../notes.ts'
import { style } from '../style.ts'
import { printExplanation, toJson } from './explanation.ts'
import { noPort } from './options.ts'

/**
 * `--requests`: one answer for one line, in order. A line that cannot be decided is an error in its place, and the rest
 * goes on.
 */
export async function explainLines(
  explainer: Explainer,
  workload: Workload,
  notes: Notes,
  format: string,
  args: Args,
  io: Io,
): Promise<ExitCode> {
  const file = args.value('requests') ?? '-'
  const printer = createPrinter(format, file, args, io)
  let code: ExitCode = EXIT.ok
  for await (const line of withoutEmptyEnd(readLines(file, io))) {
    const request = read(line)
    const result = isProblem(request) ? request : await explainer.explain(request, { trace: format !== 'jsonl' })
    if (!isProblem(request) && !isProblem(result)) {
      notes(result.notes)
      printer.explanation(request, result)
      continue
    }
    const problem = result as RequestProblem
    // One port for all is what the command line lacks; it is said once, at the end.
    if (problem.code === 'no_port') code = EXIT.usage
    else if (code === EXIT.ok) code = EXIT.invalid
    printer.problem(isProblem(request) ? idOf(line) : request.id, line.number, problem)
  }
  printer.end()
  if (code === EXIT.usage) throw noPort(workload)
  return code
}

function read({ text }: InputLine): TestRequest | RequestProblem {
  return text === null ? { code: 'bad_json', message: 'the line is too long, or not UTF-8' } : parseRequest(text)
}

function idOf({ text }: InputLine): string | number | null {
  try {
    const { id } = JSON.parse(text ?? '')
    return typeof id === 'string' || typeof id === 'number' ? id : null
  } catch {
    return null
  }
}

/** Empty lines at the end are how some editors end a file; before other lines each is one that cannot be read. */
async function* withoutEmptyEnd(lines: AsyncIterable<InputLine>): AsyncIterable<InputLine> {
  let held: number | null = null
  for await (const line of lines) {
    if (line.text?.trim() === '') {
      held ??= line.number
      continue
    }
    for (let number = held ?? line.number; number < line.number; number++) yield { number, text: '' }
    held = null
    yield line
  }
}

interface Printer {
  explanation(request: TestRequest, explanation: Explanation): void
  problem(id: string | number | null, line: number, problem: RequestProblem): void
  end(): void
}

function createPrinter(format: string, file: string, args: Args, io: Io): Printer {
  if (format === 'text') {
    const paint = style(io.color.stdout && !args.flag('no-color'))
    return {
      explanation: (request, explanation) => io.stdout(`${printExplanation(request, explanation, paint)}\n`),
      problem: (_, line, { message }) => io.stderr(`${file}:${line}: ${message}\n`),
      end: () => {},
    }
  }
  const indent = format === 'json' ? 2 : undefined
  let count = 0
  const write = (value: object) => {
    const text = JSON.stringify(value, null, indent)
    io.stdout(indent === undefined ? `${text}\n` : `${count++ === 0 ? '[\n' : ',\n'}  ${text.split('\n').join('\n  ')}`)
  }
  return {
    explanation: (_, explanation) => write(toJson(explanation)),
    problem: (id, line, error) => write({ id, line, error }),
    end: () => {
      if (indent !== undefined) io.stdout(count === 0 ? '[]\n' : '\n]\n')
    },
  }
}
