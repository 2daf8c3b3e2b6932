import { resolve } from 'node:path'
import { createLogger } from '../../observe/log.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import { type Args, UsageError } from '../command.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, load, report } from '../load.ts'
import { fingerprint, watchPaths } from '../watch.ts'
import { Authorizers } from './authorizers.ts'

/** `sallyport authorizer`: serves every Authorizer of the files until it is told to stop. */
export async function runAuthorizer(args: Args, io: Io): Promise<ExitCode> {
  const paths = filesOf(args)
  const read = async () => {
    const { mesh, diagnostics } = await load(paths, args.value('namespace'), io)
    return report(diagnostics, args, io, (one) => one.severity === 'error') ? null : mesh.authorizers
  }
  const files = paths.filter((path) => path !== '-').map((path) => resolve(io.cwd, path))
  const modules = () => resources.map(({ engine }) => engine.path)
  const before = await fingerprint(files)
  const first = await read()
  if (first === null) return EXIT.invalid
  if (first.length === 0)
    throw new UsageError('the files hold no Authorizer', 'kind: Authorizer, apiVersion: sallyport.dev/v1alpha1')
  let resources = first
  const since = [before, await fingerprint(modules())].filter((part) => part !== '').join('\n')
  const level = args.flag('verbose') ? 'debug' : 'info'
  const authorizers = new Authorizers(createLogger({ level, write: io.stderr, now: io.now, format: 'text' }))
  const apply = async (wanted: typeof first) => {
    const problems = await authorizers.apply(wanted)
    const diagnostics = problems.map(({ what, message }) =>
      diagnostic(what === 'engine' ? 'SP502' : 'SP501', { file: 'sallyport authorizer' }, message),
    )
    return report(diagnostics, args, io)
  }
  try {
    await apply(resources)
    if (authorizers.size < resources.length) return EXIT.invalid
    const watcher = watchPaths(
      () => [...files, ...modules()],
      since,
      async () => {
        const next = await read()
        if (next === null || (await apply(next))) {
          io.stderr('kept: the last good configuration stays in effect\n')
          return
        }
        resources = next
        io.stderr('applied: the changed files are in effect\n')
      },
    )
    io.stderr('ready\n')
    if (!io.stop.aborted) await new Promise((done) => io.stop.addEventListener('abort', done, { once: true }))
    watcher.close()
    return EXIT.ok
  } finally {
    await authorizers.close()
  }
}
