import { pathsOf } from '../../mesh/authorizer.ts'
import { createLogger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { renderSnapshot } from '../../observe/metrics-snapshot.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { readAdminPorts } from '../authorizer/admin-ports.ts'
import { readDecisions, readSupervisorSettings, workerSettings } from '../authorizer/settings.ts'
import { SupervisedAuthorizers } from '../authorizer/supervised-authorizers.ts'
import { Supervisor } from '../authorizer/supervisor.ts'
import { type Args, type Program, UsageError } from '../command.ts'
import { readInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, MeshFiles, report } from '../load.ts'
import { style } from '../style.ts'
import { look, watchPaths } from '../watch.ts'
import { lineWriter } from './decisions.ts'
import { proxyEnvironment } from './proxy-environment.ts'
import { startAdmin } from './start-admin.ts'
import { stopped } from './stopped.ts'

/** `sallyport authorizer`: serves every Authorizer of the files until it is told to stop. */
export async function runAuthorizer(args: Args, io: Io, { version }: Program): Promise<ExitCode> {
  // From its first reading on a signal is heard, and no longer ends the process.
  const stop = io.stop
  const files = filesOf(args, io)
  const meshFiles = new MeshFiles(files, args.value('namespace'))
  const { workers, stuckAfter, times } = readSupervisorSettings(args)
  const keys = {
    ca: await Promise.all(args.values('jwks-ca').map((path) => readInput(path, io))),
    proxy: proxyEnvironment(io),
  }
  const settings = { ...workerSettings(args, io, keys), decisions: readDecisions(args) }
  const adminPorts = readAdminPorts(args)
  const read = async () => {
    const { mesh, diagnostics } = await meshFiles.load()
    return report(diagnostics, args, io, isError) ? null : mesh.authorizers
  }
  const since = await look(files.watched)
  const resources = await read()
  if (resources === null) return EXIT.invalid
  if (resources.length === 0)
    throw new UsageError('the files hold no Authorizer', 'kind: Authorizer, apiVersion: sallyport.dev/v1alpha1')
  const paint = style(io.color.stderr && !args.flag('no-color'))
  const logger = createLogger({ level: settings.level, write: io.stderr, now: io.now, format: 'text' })
  const metrics = new MetricsRegistry()
  const decisions = lineWriter(io)
  const supervisor = new Supervisor({ workers, settings, logger, metrics, stuckAfter, decisions })
  const authorizers = new SupervisedAuthorizers(supervisor, logger)
  try {
    const apply = async (
      wanted: typeof resources,
      same = async () => true,
    ): Promise<'applied' | 'kept' | 'changed'> => {
      const change = await authorizers.prepare(wanted)
      if (change.kind === 'failed') {
        report(change.problems, args, io, isError)
        return 'kept'
      }
      // Engines have read files of their own by now.
      if (!(await same())) {
        await change.undo()
        return 'changed'
      }
      await change.commit()
      return 'applied'
    }
    if ((await apply(resources)) !== 'applied') return EXIT.invalid
    const admin = await startAdmin(
      { ...adminPorts.addresses, admin: null, skipTakenPorts: adminPorts.skipTaken },
      {
        ready: () => authorizers.ready,
        metrics: {
          render: async () => {
            const counted = await authorizers.metrics()
            return metrics.render() + renderSnapshot(counted)
          },
        },
        version,
        config: () => null,
      },
      logger,
    )
    for (const [part, { host, port }] of admin.addresses) logger.info('admin listening', { part, host, port })
    let current = resources
    const reload = async (same: () => Promise<boolean>) => {
      const next = await read()
      if (!(await same())) return
      const change = next === null ? 'kept' : await apply(next, same)
      if (change === 'changed') return
      if (next !== null && change === 'applied') current = next
      io.stderr(
        change === 'kept'
          ? `${paint.yellow('kept')}: the last good configuration stays in effect\n`
          : `${paint.green('applied')}: the changed files are in effect\n`,
      )
    }
    const paths = () => [...files.watched, ...current.flatMap(({ engine }) => pathsOf(engine))]
    const watcher = watchPaths({ paths, since, changed: reload })
    await watcher.watching
    io.stderr(`${paint.green('ready')}\n`)
    await stopped(stop)
    watcher.close()
    await authorizers.close(times)
    await admin.close()
    return EXIT.ok
  } finally {
    await authorizers.close({ delay: 0, grace: 0 })
  }
}

function isError({ severity }: Diagnostic): boolean {
  return severity === 'error'
}
