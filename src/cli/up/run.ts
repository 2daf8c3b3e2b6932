import type { HealthOptions } from '../../extauthz/client/health.ts'
import { pathsOf } from '../../mesh/authorizer.ts'
import { createLogger, type Logger } from '../../observe/log.ts'
import { inboundId, outboundId } from '../../proxy/configure.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import { workerSettings } from '../authorizer/settings.ts'
import { type Args, type Program, UsageError } from '../command.ts'
import { readDuration } from '../duration.ts'
import { readInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, MeshFiles, report } from '../load.ts'
import { readPort } from '../port.ts'
import { style } from '../style.ts'
import { look, watchPaths } from '../watch.ts'
import { decisionWriter } from './decisions.ts'
import { isGateway } from './gateways.ts'
import { readCertificateOrigin } from './identities.ts'
import { proxyEnvironment } from './proxy-environment.ts'
import { type Plan, type RunProblem, Runtime } from './runtime.ts'
import { type Placement, readPlacement, selectWorkloads } from './select.ts'
import { socketProblems } from './socket-problems.ts'
import { startAdmin } from './start-admin.ts'
import { stopped } from './stopped.ts'
import { unrestricted } from './unrestricted.ts'
import { Unsaid } from './unsaid.ts'

/** `sallyport up`: loads, starts, watches, and ends when it is told to. */
export async function runUp(args: Args, io: Io, { version }: Program): Promise<ExitCode> {
  // From its first reading on a signal is heard, and no longer ends the process.
  const stop = io.stop
  const files = filesOf(args, io)
  const input = { files: new MeshFiles(files, args.value('namespace')), unsaid: new Unsaid(), unserved: new Unsaid() }
  const placement = readPlacement(args)
  const ports = readPorts(args)
  const logger = loggerOf(args, io)
  const jwksCa = await Promise.all(args.values('jwks-ca').map((path) => readInput(path, io)))
  const jwksProxy = proxyEnvironment(io)
  const options = {
    logger,
    now: io.now,
    certificates: readCertificateOrigin(args, io),
    dropEnvoyHeaders: args.flag('drop-envoy-headers'),
    providerHeaders: readProviderHeaders(args),
    jwksCa,
    jwksProxy,
    strictTokens: args.flag('strict-tokens'),
    decisions: decisionWriter(args, io),
    providerHealth: readProviderHealth(args),
    readyWhen: args.value('ready-when') === 'providers' ? ('providers' as const) : ('proxy' as const),
    worker: workerSettings(args, io, { ca: jwksCa, proxy: jwksProxy }),
  }
  const since = await look(files.watched)
  const plan = await readPlan(input, placement, args, io)
  if (plan === null) return EXIT.invalid
  if (plan.local.length === 0 && plan.mesh.authorizers.length === 0) {
    throw new UsageError(
      'nothing to run: no Sidecar with listeners selects a workload, and there is no Authorizer',
      'name a workload: --workload NAMESPACE/NAME --listen PORT --app HOST:PORT',
    )
  }
  const runtime = new Runtime(plan, options)
  try {
    const problems = await runtime.apply(plan)
    if (problems.length > 0) {
      report(
        problems.map((problem) => describe(problem, plan)),
        args,
        io,
      )
      return EXIT.invalid
    }
    const admin = await startAdmin(
      { ...ports, skipTakenPorts: true },
      {
        ready: () => runtime.ready,
        notes: () => runtime.notes(),
        metrics: { render: () => runtime.renderMetrics() },
        version,
        config: () => summary(runtime.plan),
      },
      logger,
    )
    const watcher = watchPaths({
      paths: () => [...files.watched, ...runtime.plan.mesh.authorizers.flatMap(({ engine }) => pathsOf(engine))],
      since,
      changed: (same) => reload(input, placement, args, io, runtime, same),
    })
    await watcher.watching
    warnOfUnrestricted(plan, null, args, io)
    noteGateways(plan, args, io)
    announce(runtime, new Map(), args, io)
    io.stderr(`${style(io.color.stderr && !args.flag('no-color')).green('ready')}\n`)
    await stopped(stop)
    watcher.close()
    await admin.close()
    return EXIT.ok
  } finally {
    await runtime.close()
  }
}

/** A star stands at one end, and never alone. */
const PROVIDER_HEADER = /^(\*?[!#$%&'+\-.^_`|~0-9A-Za-z]+|[!#$%&'+\-.^_`|~0-9A-Za-z]+\*)$/

function readProviderHeaders(args: Args): readonly string[] {
  const names = args.values('provider-header')
  const wrong = names.find((name) => !PROVIDER_HEADER.test(name) || name.toLowerCase() === 'host')
  if (wrong === undefined) return names
  throw new UsageError(`--provider-header needs a header's name, not \`${wrong}\``, 'for example: x-user, x-auth-*')
}

/** The files, and what was said of them. */
interface Input {
  readonly files: MeshFiles
  readonly unsaid: Unsaid
  /** Of what the files ask of gateways and this version does not do. */
  readonly unserved: Unsaid
}

/** What the files ask for, or null when they cannot be run; diagnostics have been printed then. */
async function readPlan(input: Input, placement: Placement, args: Args, io: Io): Promise<Plan | null> {
  const { mesh, diagnostics } = await input.files.load()
  if (report(input.unsaid.select(diagnostics), args, io, (one) => one.severity === 'error')) return null
  const { local, problems } = selectWorkloads(mesh, placement, io.cwd)
  report(input.unserved.select(problems), args, io)
  return report(socketProblems(local), args, io, (one) => one.severity === 'error') ? null : { mesh, local }
}

async function reload(
  input: Input,
  placement: Placement,
  args: Args,
  io: Io,
  runtime: Runtime,
  same: () => Promise<boolean>,
) {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  try {
    const before = runtime.plan
    const plan = await readPlan(input, placement, args, io)
    if (!(await same())) return
    const addresses = runtime.addresses()
    const problems = plan === null ? [] : await runtime.apply(plan, same)
    if (problems === null) return
    if (plan !== null && problems.length === 0) {
      warnOfUnrestricted(plan, before, args, io)
      announce(runtime, addresses, args, io)
      io.stderr(`${paint.green('applied')}: the changed files are in effect\n`)
      return
    }
    if (plan !== null)
      report(
        problems.map((problem) => describe(problem, plan)),
        args,
        io,
      )
  } catch (error) {
    io.stderr(`${paint.red('error')}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
  io.stderr(`${paint.yellow('kept')}: the last good configuration stays in effect\n`)
}

/** That nothing restricts a workload is legal, and seldom meant: it is said at start, and when it comes about. */
function warnOfUnrestricted(plan: Plan, before: Plan | null, args: Args, io: Io): void {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  const known = new Set(before === null ? [] : unrestricted(before))
  for (const workload of unrestricted(plan)) {
    if (known.has(workload)) continue
    const why = before === null ? 'no policy restricts' : 'no policy restricts any more'
    io.stderr(`${paint.yellow('warning')}: ${why} ${workload}: every request is allowed\n`)
  }
}

/** What a gateway does here is less than Istio's: that is said, never left to be found out. */
function noteGateways({ local }: Plan, args: Args, io: Io): void {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  for (const { workload } of local) {
    if (!isGateway(workload)) continue
    const name = `${workload.namespace}/${workload.name}`
    io.stderr(
      `${paint.dim('note')}: every request that the gateway ${name} lets through goes to --app: VirtualService and HTTPRoute are not read\n`,
    )
  }
}

/** A problem at the place in the files, or on the command line, that asks for what cannot be had. */
function describe(problem: RunProblem, { local }: Plan): Diagnostic {
  switch (problem.kind) {
    case 'authorizer':
      return problem.diagnostic
    case 'certificate':
      return diagnostic('SP503', { file: 'certificates' }, problem.message, {
        help: 'see --ca-dir, or --cert, --key and --ca, of `sallyport up --help`',
      })
    case 'listener':
      return describeListener(problem.id, problem.message, local)
    default:
      return problem satisfies never
  }
}

function describeListener(id: string, message: string, local: Plan['local']): Diagnostic {
  for (const { workload, inbound, outbound } of local) {
    const ingress = inbound.find((one) => inboundId(workload, one) === id)
    const one = ingress ?? outbound.find((egress) => outboundId(workload, egress) === id)
    if (one === undefined) continue
    const place = one.origin === null ? { file: '--listen' } : one.origin
    const help =
      ingress === undefined
        ? 'end what listens there, or write another port'
        : `end what listens there, or take another address: --workload ${workload.namespace}/${workload.name} --listen ${one.port}=127.0.0.1:PORT`
    return diagnostic('SP501', place, message, { help })
  }
  return diagnostic('SP501', { file: id }, message)
}

/** Whoever waits for the line `ready` or `applied` reads the lines before it for addresses, those that are new. */
function announce(runtime: Runtime, before: ReturnType<Runtime['addresses']>, args: Args, io: Io): void {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  for (const [id, { host, port }] of runtime.addresses()) {
    const known = before.get(id)
    if (known?.host === host && known.port === port) continue
    io.stderr(`${paint.dim('listening')}: ${id} at ${host.includes(':') ? `[${host}]` : host}:${port}\n`)
  }
}

function summary({ mesh, local }: Plan): unknown {
  return {
    workloads: local.map(({ workload, inbound, outbound }) => ({
      workload: `${workload.namespace}/${workload.name}`,
      inbound: inbound.map(({ port, listen }) => ({ port, listen })),
      outbound: outbound.map(({ port, listen }) => ({ port, listen })),
    })),
    policies: mesh.authorizationPolicies.map(({ meta, action }) => ({
      policy: `${meta.namespace}/${meta.name}`,
      action,
    })),
    delegations: mesh.delegations.map(({ meta, order, providers }) => ({
      delegation: `${meta.namespace}/${meta.name}`,
      order,
      providers: providers.map(({ name, mode }) => ({ name, mode })),
    })),
    providers: mesh.config.providers.map(({ name, kind, service, port }) => ({ name, kind, service, port })),
  }
}

function loggerOf(args: Args, io: Io): Logger {
  return createLogger({ level: args.flag('verbose') ? 'debug' : 'info', write: io.stderr, now: io.now, format: 'text' })
}

function readPorts(args: Args) {
  const port = (name: string, fallback: number) => {
    const read = readPort(args, name, fallback)
    return read === null ? null : { port: read }
  }
  return { health: port('health-port', 15021), metrics: port('metrics-port', 15020), admin: port('admin-port', 15000) }
}

/** Null: endpoints of providers are not asked whether they are well. */
function readProviderHealth(args: Args): HealthOptions | null {
  const text = args.value('provider-health')
  const path = args.value('provider-health-path')
  if (text === undefined) {
    if (path !== undefined) throw new UsageError('--provider-health-path needs --provider-health')
    return null
  }
  const interval = readDuration(text, '--provider-health')
  if (interval < 1000) throw new UsageError('--provider-health must be at least a second')
  if (path !== undefined && !/^\/[!-~]*$/.test(path))
    throw new UsageError(`--provider-health-path: \`${path}\` is no path`)
  return { interval, ...(path === undefined ? {} : { path }) }
}
