import { pathsOf } from '../../mesh/authorizer.ts'
import { createLogger } from '../../observe/log.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { type Args, UsageError } from '../command.ts'
import { readInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, MeshFiles, report } from '../load.ts'
import { style } from '../style.ts'
import { look, watchPaths } from '../watch.ts'
import { Authorizers } from './authorizers.ts'
import { createRunOpa } from './opa-program.ts'
import { proxyEnvironment } from './proxy-environment.ts'

/** `sallyport authorizer`: serves every Authorizer of the files until it is told to stop. */
export async function runAuthorizer(args: Args, io: Io): Promise<ExitCode> {
  const stop = io.stop
  const files = filesOf(args, io)
  const meshFiles = new MeshFiles(files, args.value('namespace'))
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
  const level = args.flag('verbose') ? 'debug' : 'info'
  const logger = createLogger({ level, write: io.stderr, now: io.now, format: 'text' })
  const authorizers = new Authorizers(logger, {
    now: io.now,
    keys: {
      ca: await Promise.all(args.values('jwks-ca').map((path) => readInput(path, io))),
      proxy: proxyEnvironment(io),
    },
    runOpa: createRunOpa(io.env),
  })
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
    if (!stop.aborted) await new Promise((done) => stop.addEventListener('abort', done, { once: true }))
    watcher.close()
    return EXIT.ok
  } finally {
    await authorizers.close()
  }
}

function isError({ severity }: Diagnostic): boolean {
  return severity === 'error'
}
