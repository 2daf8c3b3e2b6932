import { createOfflineKeySource } from '../../authn/key-source.ts'
import type { Workload } from '../../mesh/workload.ts'
import { parseCurl } from '../../tools/curl.ts'
import { createExplainer, type Explainer } from '../../tools/explain.ts'
import { decodeRequest, isProblem, parseRequest, type TestRequest } from '../../tools/request.ts'
import { type Args, type Command, FILE, NAMESPACE, UsageError } from '../command.ts'
import { printExplanation, toJson } from '../explanation.ts'
import { InvalidInput, readInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, findWorkload, load, portOf, report } from '../load.ts'
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
    { name: 'request', value: 'FILE', help: 'one request as a JSON object, or - for standard input' },
    { name: 'curl', value: 'COMMAND', help: 'one request as a curl command line' },
    { name: 'requests', value: 'FILE', help: 'requests, one JSON object a line, or -' },
    { name: 'output', short: 'o', value: 'FORMAT', help: 'text (default), json (with a trace) or jsonl' },
    {
      name: 'at',
      value: 'TIME',
      help: 'the time by which tokens are judged, such as 2026-01-01T00:00:00Z; default: now',
    },
    {
      name: 'jwks',
      value: 'ISSUER=FILE',
      repeats: true,
      help: 'the keys of an issuer whose jwksUri is not fetched here',
    },
    NAMESPACE,
  ],
  examples: [
    [
      "sallyport explain -f policies/ --workload default/backend --curl 'curl http://backend/api/v1/data'",
      'why a request from a workload without mTLS gets its answer',
    ],
    [
      `echo '{"source":{"principal":"cluster.local/ns/default/sa/frontend"},"path":"/api"}' | sallyport explain -f policies/ --workload default/backend --request - -o json`,
      'the same for a caller known by its certificate, with every rule, as JSON',
    ],
    [
      'sallyport explain -f policies/ --workload default/backend --requests traffic.jsonl -o jsonl',
      'a decision a line for many requests',
    ],
  ],
  run,
}

const FORMATS = ['text', 'json', 'jsonl'] as const
type Format = (typeof FORMATS)[number]

async function run(args: Args, io: Io): Promise<ExitCode> {
  const format = formatOf(args)
  const paths = filesOf(args)
  const given = ['request', 'curl', 'requests'].filter((name) => args.value(name) !== undefined)
  if (given.length !== 1) {
    throw new UsageError(
      given.length === 0 ? 'no request' : `--${given.join(' and --')} exclude each other`,
      "give --curl 'curl ...', --request FILE or --requests FILE.jsonl",
    )
  }
  const now = clockOf(args, io)
  const jwks = await jwksOf(args, io)
  const loaded = await load(paths, args.value('namespace'), io)
  if (report(loaded.diagnostics, args, io)) return EXIT.invalid
  const { mesh } = loaded
  const workload = findWorkload(mesh, args.value('workload'), args.value('namespace'))
  const port = requestPort(args, workload)
  const explainer = createExplainer({
    ...{ mesh, workload, port: port ?? 0, now, ask: null },
    keys: createOfflineKeySource(jwks),
  })
  const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const note = foreignNote(trustDomains, io)
  const one = async (request: TestRequest) => {
    if (port === undefined && request.destination.port === null) throw noPort(workload)
    note(request)
    return explainer.explain(request, { trace: format !== 'jsonl' })
  }
  const many = args.value('requests')
  return many === undefined
    ? single(await singleRequest(args, io), one, format, args, io)
    : lines(many, one, format, args, io)
}

type One = (request: TestRequest) => ReturnType<Explainer['explain']>

async function single(request: TestRequest, one: One, format: Format, args: Args, io: Io): Promise<ExitCode> {
  const explanation = await one(request)
  const paint = style(io.color.stdout && !args.flag('no-color'))
  if (format === 'text') io.stdout(printExplanation(request, explanation, paint))
  else io.stdout(`${JSON.stringify(toJson(explanation), null, format === 'json' ? 2 : undefined)}\n`)
  return EXIT.ok
}

/** One line out for one line in, in order; a line that cannot be read is an error line, and the rest goes on. */
async function lines(file: string, one: One, format: Format, args: Args, io: Io): Promise<ExitCode> {
  const text = await readInput(file, io)
  const paint = style(io.color.stdout && !args.flag('no-color'))
  const array: unknown[] = []
  let bad = false
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line.trim() === '') continue
    const request = parseRequest(line)
    if (isProblem(request)) {
      bad = true
      const error = { id: idOf(line), line: number, error: request }
      if (format === 'json') array.push(error)
      else if (format === 'jsonl') io.stdout(`${JSON.stringify(error)}\n`)
      else io.stderr(`${file}:${number}: ${request.message}\n`)
      continue
    }
    const explanation = await one(request)
    if (format === 'json') array.push(toJson(explanation))
    else if (format === 'jsonl') io.stdout(`${JSON.stringify(toJson(explanation))}\n`)
    else io.stdout(`${printExplanation(request, explanation, paint)}\n`)
  }
  if (format === 'json') io.stdout(`${JSON.stringify(array, null, 2)}\n`)
  return bad ? EXIT.invalid : EXIT.ok
}

function idOf(line: string): string | number | null {
  try {
    const { id } = JSON.parse(line)
    return typeof id === 'string' || typeof id === 'number' ? id : null
  } catch {
    return null
  }
}

async function singleRequest(args: Args, io: Io): Promise<TestRequest> {
  const curl = args.value('curl')
  if (curl !== undefined) {
    const parsed = parseCurl(curl)
    if ('problem' in parsed) throw new UsageError(`--curl: ${parsed.problem}`)
    const request = decodeRequest(parsed)
    if (isProblem(request)) throw new UsageError(`--curl: ${request.message}`)
    return request
  }
  const file = args.value('request') as string
  const request = parseRequest(await readInput(file, io))
  if (isProblem(request)) throw new InvalidInput(`${file}: ${request.message}`)
  return request
}

function formatOf(args: Args): Format {
  const text = args.value('output') ?? 'text'
  const format = FORMATS.find((one) => one === text)
  if (format === undefined) throw new UsageError(`unknown output format \`${text}\``, `one of ${FORMATS.join(', ')}`)
  return format
}

function requestPort(args: Args, workload: Workload): number | undefined {
  const given = portOf(args.value('port'), '--port')
  if (given !== undefined) return given
  return workload.ports.length === 1 ? workload.ports[0]?.number : undefined
}

function noPort(workload: Workload): UsageError {
  const ports = workload.ports.map(({ number }) => number).join(', ')
  const hint = ports === '' ? 'the files name no port of it' : `its ports: ${ports}`
  return new UsageError(`no port: say which of \`${workload.namespace}/${workload.name}\` with --port N`, hint)
}

function clockOf(args: Args, io: Io): () => number {
  const text = args.value('at')
  if (text === undefined) return io.now
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new UsageError(`--at needs a time such as 2026-01-01T00:00:00Z, not \`${text}\``)
  return () => time
}

async function jwksOf(args: Args, io: Io): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>()
  for (const pair of args.values('jwks')) {
    const equals = pair.lastIndexOf('=')
    if (equals < 1) throw new UsageError(`--jwks needs ISSUER=FILE, not \`${pair}\``)
    keys.set(pair.slice(0, equals), await readInput(pair.slice(equals + 1), io))
  }
  return keys
}

/** A peer of another trust domain would not get past TLS; that is worth a word, once for each domain. */
function foreignNote(trustDomains: readonly string[], io: Io): (request: TestRequest) => void {
  const noted = new Set<string>()
  return ({ source }) => {
    const domain = /^spiffe:\/\/([^/]*)/.exec(source.peer)?.[1]
    if (domain === undefined || trustDomains.includes(domain) || noted.has(domain) || noted.size >= 10) return
    noted.add(domain)
    io.stderr(
      `note: the proxy would refuse peers of the trust domain \`${domain}\`: the mesh's are ${trustDomains.join(', ')}\n`,
    )
  }
}
