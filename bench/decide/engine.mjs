// Sallyport's engine, as the other engines are: policies in, then decisions about requests.
import { HeaderMap } from '../../dist/match/header-map.js'
import { parseIp } from '../../dist/match/ip.js'
import { loadMesh } from '../../dist/mesh/load.js'
import { validateMesh } from '../../dist/mesh/validate.js'
import { compile } from '../../dist/policy/compile.js'
import { Facts } from '../../dist/policy/facts.js'
import { lower } from '../../dist/policy/lower.js'

const OWN_IP = parseIp('10.9.9.9')

/** The decider of a workload to which all of these resources apply. */
export function deciderOf(resources) {
  const locate = () => ({ line: 1, column: 1 })
  const documents = resources.map((value, index) => ({ file: 'bench.yaml', index, value, locate }))
  const { mesh, diagnostics } = loadMesh(documents)
  const wrong = [...diagnostics, ...validateMesh(mesh)].find(({ severity }) => severity === 'error')
  if (wrong !== undefined) throw new Error(`a policy of the benchmark is invalid: ${wrong.message}`)
  const provider = () => ({ kind: 'unusable', reason: 'none' })
  const policies = mesh.authorizationPolicies
  return compile(lower({ policies, trustDomains: ['cluster.local'], protocol: 'http', provider }))
}

/**
 * A request whose strings were never used before, as they come from a socket: nobody has computed their hashes, and none
 * is the object that a policy holds. The method is one of few constants, as Node's parser gives it.
 */
export function fresh({ peer, path, host, headers, claims, ...rest }) {
  return {
    ...rest,
    peer: peer === null ? null : copy(peer),
    path: copy(path),
    host: copy(host),
    headers: Object.entries(headers).flatMap(([name, value]) => [copy(name), copy(value)]),
    claims: claims === null ? null : JSON.parse(JSON.stringify(claims)),
  }
}

/** A connection and a request line as the proxy has them before it makes facts of them. */
export function parsed({ peer, sourceIp, remoteIp, port, claims, headers, ...line }) {
  return {
    connection: {
      peer: peer === null ? '' : copy(`spiffe://${peer}`),
      sourceIp: parseIp(sourceIp),
      destinationIp: OWN_IP,
      destinationPort: port,
      sni: '',
    },
    line,
    headers,
    remoteIp,
    claims,
  }
}

export function factsOf({ connection, line, headers, remoteIp, claims }) {
  const facts = Facts.ofRequest(connection, {
    method: line.method,
    path: line.path,
    host: line.host,
    scheme: 'http',
    headers: HeaderMap.fromRaw(headers),
    remoteIp: parseIp(remoteIp),
  })
  facts.authenticated(line.path, claims)
  return facts
}

export const prepare = (request) => factsOf(parsed(fresh(request)))

function copy(text) {
  return Buffer.from(text, 'latin1').latin1Slice()
}
