import { parseJwks } from '../../authn/jwt/jwk.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Workload } from '../../mesh/workload.ts'
import { suggest } from '../../source/suggest.ts'
import { type Args, UsageError } from '../command.ts'
import { InvalidInput, readInput } from '../input.ts'
import type { Io } from '../io.ts'
import { portOf } from '../load.ts'
import type { Notes } from '../notes.ts'

/** The port of `--port`, or the workload's only one; null when there are none or several. */
export function readPort(args: Args, workload: Workload, notes: Notes): number | null {
  const given = portOf(args.value('port'), '--port')
  const [first, second] = workload.ports
  if (given === undefined) return first !== undefined && second === undefined ? first.number : null
  if (first !== undefined && !workload.ports.some(({ number }) => number === given)) {
    notes([
      `\`${nameOf(workload)}\` names no port ${given} of its own: policies see the target port (${list(workload)})`,
    ])
  }
  return given
}

export function noPort(workload: Workload): UsageError {
  const hint = workload.ports.length === 0 ? 'the files name no port of it' : `its ports: ${list(workload)}`
  return new UsageError(`no port: say which of \`${nameOf(workload)}\` with --port N`, hint)
}

function nameOf({ namespace, name }: Workload): string {
  return `${namespace}/${name}`
}

function list({ ports }: Workload): string {
  return ports.map(({ number }) => number).join(', ')
}

/** RFC 3339, or its date alone; `Date.parse` alone would take almost anything for a time. */
const TIME = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d))?$/

export function readClock(args: Args, io: Io): () => number {
  const text = args.value('at')
  if (text === undefined) return io.now
  const time = TIME.test(text) ? Date.parse(text.toUpperCase().replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(time)) throw new UsageError(`--at needs a time such as 2026-01-01T00:00:00Z, not \`${text}\``)
  return () => time
}

export interface GivenKeys {
  /** The text of a JWKS. */
  readonly byIssuer: ReadonlyMap<string, string>
  /** What to say of keys that no rule asks for. */
  unused(mesh: Mesh): readonly string[]
}

export async function readKeys(args: Args, io: Io): Promise<GivenKeys> {
  const byIssuer = new Map<string, string>()
  for (const pair of args.values('jwks')) {
    const equals = pair.lastIndexOf('=')
    const [issuer, file] = [pair.slice(0, equals), pair.slice(equals + 1)]
    if (equals < 1 || file === '') throw new UsageError(`--jwks needs ISSUER=FILE, not \`${pair}\``)
    if (byIssuer.has(issuer)) throw new UsageError(`--jwks was given twice for \`${issuer}\``)
    const text = await readInput(file, io)
    const parsed = parseJwks(text)
    if (parsed.kind === 'unusable') throw new InvalidInput(`${file}: no usable keys: ${parsed.reason}`)
    byIssuer.set(issuer, text)
  }
  return { byIssuer, unused: (mesh) => unusedKeys([...byIssuer.keys()], mesh) }
}

function unusedKeys(given: readonly string[], mesh: Mesh): readonly string[] {
  const rules = mesh.requestAuthentications.flatMap(({ jwtRules }) => jwtRules)
  const issuers = rules.flatMap(({ issuer }) => (issuer === null ? [] : [issuer]))
  return given
    .filter((issuer) => !issuers.includes(issuer))
    .map((issuer) => {
      const close = suggest(issuer, issuers)
      const hint = close === null ? '' : `; did you mean \`${close}\`?`
      return `the keys of \`${issuer}\` are not used: no RequestAuthentication has this issuer${hint}`
    })
}
