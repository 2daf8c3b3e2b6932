import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  bootstrap,
  DEFAULT_LOG_FORMAT,
  envoyProblems,
  fileAccessLog,
  type TranslateOptions,
  translateWorkload,
} from '../../envoy/index.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { serviceOfHost } from '../../mesh/registry.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type Args, UsageError } from '../command.ts'
import { readKeys } from '../explain/options.ts'
import { InvalidInput, readInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { filesOf, load, report } from '../load.ts'
import { createNotes } from '../notes.ts'
import { namedWorkload, readAddress, readPlacement } from '../up/select.ts'
import { socketProblems } from '../up/socket-problems.ts'
import { certificateFiles } from './certificates.ts'
import { placementOf } from './placement.ts'
import { listNotes, treeComment } from './reports.ts'
import { printYaml } from './yaml.ts'

/** `sallyport envoy`: reads, translates, prints. */
export async function runEnvoy(args: Args, io: Io): Promise<ExitCode> {
  const files = filesOf(args, io)
  const placement = readPlacement(args)
  if (placement.workload === undefined) throw new UsageError('no workload: say which with --workload NAMESPACE/NAME')
  const admin = readAdmin(args)
  const keys = await readKeys(args, io)
  const jwksCa = await readJwksCa(args, io)
  const { mesh, diagnostics } = await load(files, args.value('namespace'))
  if (report(diagnostics, args, io)) return EXIT.invalid
  const notes = createNotes(args, io)
  notes(keys.unused(mesh))
  const found = namedWorkload(mesh, placement)
  const { workload, local, place } = placementOf(mesh, found, placement, args.values('port'))
  const service = serviceOf(mesh, workload, args)
  const jwks = { byIssuer: keys.byIssuer, nobody: nobodysKeys(), ca: jwksCa }
  const sockets = local === null ? [] : socketProblems([{ ...local, outbound: [] }])
  const problems = [...sockets, ...envoyProblems(mesh, workload, { placement: place, jwks, service })]
  if (report(problems, args, io, ({ severity }) => severity === 'error')) return EXIT.invalid

  const path = args.value('access-log')
  const options: TranslateOptions = {
    placement: place,
    rbac: args.value('rbac') === 'rules' ? { kind: 'rules' } : { kind: 'matcher', fewest: FEWEST },
    jwks,
    // Looked at, or made, only where the translation asks for some.
    certificates: () => certificateFiles(workload, mesh.config, args, io, notes),
    accessLog: path === undefined ? [] : [fileAccessLog(resolve(io.cwd, path), DEFAULT_LOG_FORMAT)],
    prefix: '',
    service,
  }
  const translated = translateWorkload(mesh, workload, options)
  notes(listNotes(translated.reports, FEWEST))
  const id = `${workload.namespace}/${workload.name}`
  const config = bootstrap([translated], { id, cluster: `${workload.name}.${workload.namespace}`, admin })
  if (args.value('output') === 'json') io.stdout(`${JSON.stringify(config, null, 2)}\n`)
  else io.stdout(`${treeComment(id, translated.reports)}${printYaml(config)}`)
  return EXIT.ok
}

/** With fewer rules a list is as fast as a tree. */
const FEWEST = 16

/** At a waypoint policies depend on what a request is for. */
function serviceOf(mesh: Mesh, workload: Workload, args: Args) {
  const host = args.value('host')
  if (workload.role.kind !== 'waypoint') {
    if (host !== undefined) throw new UsageError(`--host is for waypoints, and \`${workload.name}\` is none`)
    return null
  }
  if (host === undefined) throw new UsageError('a waypoint serves many services: say which with --host HOST')
  const service = serviceOfHost(mesh, workload.namespace, host)
  if (service === null) throw new UsageError(`--host: no Service or ServiceEntry has the host \`${host}\``)
  return service
}

function readAdmin(args: Args): { readonly host: string; readonly port: number } | null {
  const text = args.value('admin')
  if (text === '0') return null
  return text === undefined ? { host: '127.0.0.1', port: 15000 } : readAddress(text, '--admin')
}

/** Where systems keep their roots in one file. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
] as const

async function readJwksCa(args: Args, io: Io): Promise<string> {
  const path = args.value('jwks-ca')
  if (path === undefined) return SYSTEM_ROOTS.find((file) => existsSync(file)) ?? SYSTEM_ROOTS[0]
  if (!(await readInput(path, io)).includes('-----BEGIN CERTIFICATE-----')) {
    throw new InvalidInput(`${path}: no certificate in PEM form`)
  }
  return resolve(io.cwd, path)
}

/** The private half is dropped, so that nobody can sign a token for it. */
function nobodysKeys(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] })
}
