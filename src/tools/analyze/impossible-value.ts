import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { maskTarget } from '../../observe/mask.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'
import {
  principalProblem,
  requestPrincipalProblem,
  serviceAccountProblem,
  trustDomainProblem,
} from './identity-value.ts'
import type { PolicyValues } from './policy-values.ts'
import { rulesOfMesh, valuesOf } from './policy-values.ts'

/** Why no request has a value, and what was probably meant. */
export interface ValueProblem {
  readonly reason: string
  readonly help: string
}

/** A value that no request can have, so that a positive condition never holds and a negated one always does. */
export const impossibleValue: Analyzer = ({ mesh }) =>
  rulesOfMesh(mesh).flatMap((policy) => [...valuesOf(policy)].flatMap((list) => inspect(mesh, policy, list)))

function inspect(mesh: Mesh, { origin: { document } }: AuthorizationPolicy, list: PolicyValues): Diagnostic[] {
  const { attribute, values, path } = list
  const found: Diagnostic[] = []
  const named = nameProblem(attribute)
  if (named !== null) {
    const at = [...path.slice(0, -1), 'key']
    found.push(diagnostic('SP405', { document, path: at }, `\`${attribute}\`: ${named.reason}`, { help: named.help }))
  }
  for (const [index, value] of values.entries()) {
    // An empty value is refused as such.
    const problem = value === '' ? null : valueProblem(mesh, attribute, value)
    if (problem === null) continue
    // A path's query can hold credentials.
    const shown = attribute === 'paths' ? maskTarget(value) : value
    const message = `no request has \`${shown}\`: ${problem.reason}`
    found.push(diagnostic('SP405', { document, path: [...path, index] }, message, { help: problem.help }))
  }
  return found
}

function valueProblem({ config }: Mesh, attribute: string, value: string): ValueProblem | null {
  switch (attribute) {
    case 'methods':
      return methodProblem(value)
    case 'paths':
      return pathProblem(value)
    case 'hosts':
      return hostProblem(value)
    case 'connection.sni':
      return sniProblem(value)
    case 'source.principal':
      return principalProblem(value, [config.trustDomain, ...config.trustDomainAliases])
    case 'source.serviceAccount':
      return serviceAccountProblem(value)
    case 'source.trustDomain':
      return trustDomainProblem(value)
    case 'request.auth.principal':
      return requestPrincipalProblem(value)
    default:
      return null
  }
}

const methods: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'],
])

function methodProblem(value: string): ValueProblem | null {
  const upper = value.toUpperCase()
  if (upper === value || !methods.has(upper)) return null
  return {
    reason: 'methods are compared letter by letter, and HTTP writes them in capitals',
    help: `write \`${upper}\``,
  }
}

function pathProblem(value: string): ValueProblem | null {
  const cut = value.search(/[?#]/)
  const path = cut === -1 ? value : value.slice(0, cut)
  const url = /^[a-z][a-z0-9+.-]*:\/\/[^/]*(.*)$/i.exec(path)
  if (url !== null) {
    const help = `write the path alone: \`${url[1] === '' ? '/' : url[1]}\`; the host belongs in \`hosts\``
    return { reason: 'a path begins with `/`', help }
  }
  if (!path.startsWith('/') && !path.startsWith('*')) {
    return { reason: 'a path begins with `/`', help: `write \`/${path}\`` }
  }
  if (cut === -1) return null
  const help = `write \`${path}\`; to look at the query, match \`request.headers[:path]\` with \`when\``
  return { reason: 'paths are compared without query and fragment', help }
}

function hostProblem(value: string): ValueProblem | null {
  const reason = 'a host is what the `Host` header names, a name with at most a port'
  const host = value.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').split('/', 1)[0] as string
  const name = host.slice(host.lastIndexOf('@') + 1)
  if (host === value) return null
  return { reason, help: name === '' ? 'write the name of the host' : `write \`${name}\`` }
}

function sniProblem(value: string): ValueProblem | null {
  const lower = value.toLowerCase()
  if (lower !== value) return { reason: 'Envoy compares the server name in lower case', help: `write \`${lower}\`` }
  const port = /:[0-9]+$/.exec(value)
  return port === null ? null : { reason: 'a server name has no port', help: `write \`${value.slice(0, port.index)}\`` }
}

/** Quotes and spaces in brackets are part of the name. */
function nameProblem(key: string): ValueProblem | null {
  const open = key.indexOf('[')
  const name = key.slice(open + 1, -1)
  if (open === -1 || !key.endsWith(']')) return null
  const bare = name.replace(/^(["'])(.*)\1$/s, '$2').trim()
  if (bare === name || bare === '') return null
  const reason = 'what stands in the brackets is the name as it is, with its quotes and spaces'
  return { reason, help: `write \`${key.slice(0, open)}[${bare}]\`` }
}
