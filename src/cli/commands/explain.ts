import { createOfflineKeySource } from '../../authn/key-source.ts'
import { createExplainer } from '../../tools/explain.ts'
import { isProblem } from '../../tools/request.ts'
import { type Args, type Command, FILE, NAMESPACE, UsageError } from '../command.ts'
import { printExplanation, toJson } from '../explain/explanation.ts'
import { noPort, readClock, readKeys, readPort } from '../explain/options.ts'
import { explainLines } from '../explain/request-lines.ts'
import { readSingleRequest } from '../explain/single-request.ts'
import { InvalidInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, findWorkload, load, report } from '../load.ts'
import { createNotes } from '../notes.ts'
import { style } from '../style.ts'

export const explain: Command = {
  name: 'explain',
  summary: 'say how a request is decided, and why',
  description:
    'Decides about requests as the proxy would, without a socket, and says which policy, rule and field decided. Exits\nwith 0 whatever the decision is.',
  usage: [
    "explain -f PATH... --workload NS/NAME [--port N] --curl 'curl ...'",
    'explain -f PATH... --workload NS/NAME [--port N] --request FILE',
    'explain -f PATH... --workload NS/NAME [--port N] --requests FILE.jsonl [-o jsonl]',
  ],
  positionals: null,
  options: [
    FILE,
    { name: 'workload', value: 'NS/NAME', help: 'the workload that the request reaches' },
    { name: 'port', value: 'N', help: "the workload's own (target) port; default: its only one" },
    { name: 'request', value: 'FILE', path: 'file', help: 'one request as a JSON object, or - for standard input' },
    { name: 'curl', value: 'COMMAND', help: 'one request as a curl command line' },
    {
      name: 'requests',
      value: 'FILE',
      path: 'file',
      help: 'requests, one JSON object a line, or -; also a decision log of sallyport up',
    },
    {
      name: 'output',
      short: 'o',
      value: 'FORMAT',
      choices: ['text', 'json', 'jsonl'],
      help: 'text (default), json (with a trace) or jsonl',
    },
    {
      name: 'at',
      value: 'TIME',
      help: 'the time by which tokens are judged, such as 2026-01-01T00:00:00Z; default: now',
    },
    {
      name: 'jwks',
      value: 'ISSUER=FILE',
      repeats: true,
      path: 'file',
      help: 'the keys of an issuer whose jwksUri is not fetched here',
    },
    { name: 'strict-tokens', help: 'as `up --strict-tokens`: every token of the request must verify' },
    NAMESPACE,
  ],
  examples: [
    [
      "sallyport explain -f examples/opa --workload default/httpbin-with-opa --curl 'curl http://httpbin-with-opa/ip'",
      'why a request gets its answer, written as curl would send it',
    ],
    [
      `echo '{"source":{"principal":"cluster.local/ns/default/sa/frontend"},"path":"/api/v1/data"}' | sallyport explain -f examples/frontend-backend --workload default/backend --request - -o json`,
      'the same for a caller known by its certificate, with every policy and rule, as JSON',
    ],
    [
      `echo '{"path":"/api/v1/users","claims":{"sub":"a"},"providers":{"delegated":{"allow":true}}}' | sallyport explain -f examples/delegated --workload default/user-service --request -`,
      'with a token that was verified, and a provider that allows',
    ],
    [
      `printf '%s\\n' '{"id":1,"path":"/ip"}' '{"id":2,"path":"/headers"}' | sallyport explain -f examples/opa --workload default/httpbin-with-opa --requests - -o jsonl`,
      'a decision a line for many requests',
    ],
  ],
  run,
}

async function run(args: Args, io: Io): Promise<ExitCode> {
  const files = filesOf(args, io)
  const source = sourceOf(args)
  const now = readClock(args, io)
  const keys = await readKeys(args, io)
  // A request that cannot be read is said before the files are loaded, which may take its time.
  const request = source === 'requests' ? null : await readSingleRequest(args, io)
  const loaded = await load(files, args.value('namespace'))
  if (report(loaded.diagnostics, args, io)) return EXIT.invalid
  const { mesh } = loaded
  const workload = findWorkload(mesh, args.value('workload'), args.value('namespace'))
  const notes = createNotes(args, io)
  const port = readPort(args, workload, notes)
  notes(keys.unused(mesh))
  const explainer = createExplainer({
    ...{ mesh, workload, port, now, ask: null },
    keys: createOfflineKeySource(keys.byIssuer),
    strictTokens: args.flag('strict-tokens'),
  })
  const format = args.value('output') ?? 'text'
  if (request === null) return explainLines(explainer, workload, notes, format, args, io)
  const explanation = await explainer.explain(request, { trace: format !== 'jsonl' })
  if (isProblem(explanation)) {
    if (explanation.code === 'no_port') throw noPort(workload)
    throw new InvalidInput(`--${source}: ${explanation.message}`)
  }
  notes(explanation.notes)
  const paint = style(io.color.stdout && !args.flag('no-color'))
  if (format === 'text') io.stdout(printExplanation(request, explanation, paint))
  else io.stdout(`${JSON.stringify(toJson(explanation), null, format === 'json' ? 2 : undefined)}\n`)
  return EXIT.ok
}

function sourceOf(args: Args): 'request' | 'curl' | 'requests' {
  const given = (['request', 'curl', 'requests'] as const).filter((name) => args.value(name) !== undefined)
  const [first, ...rest] = given
  if (first !== undefined && rest.length === 0) return first
  throw new UsageError(
    first === undefined ? 'no request' : `${given.map((name) => `--${name}`).join(' and ')} exclude each other`,
    "give --curl 'curl ...', --request FILE or --requests FILE.jsonl",
  )
}
