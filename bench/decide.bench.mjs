// The time of one decision, by the number and the shape of policies.
import { HeaderMap } from '../dist/match/header-map.js'
import { parseIp } from '../dist/match/ip.js'
import { compile } from '../dist/policy/compile.js'
import { Facts } from '../dist/policy/facts.js'
import { lower } from '../dist/policy/lower.js'
import { grpcDecider } from './peers/grpc-js-xds.mjs'
import { median, Report } from './report.mjs'
import { shapes } from './shapes.mjs'

const REQUESTS = 2000
const report = new Report()
const own = parseIp('10.9.9.9')

for (const [name, shape] of Object.entries(shapes)) {
  for (const count of [10, 1000, 100_000]) {
    const policies = Array.from({ length: count }, (_, i) => policy(i, shape.rule(i)))
    const decider = compile(
      lower({
        policies,
        trustDomains: ['cluster.local'],
        protocol: 'http',
        provider: () => ({ kind: 'unusable', reason: '' }),
      }),
    )
    const requests = Array.from({ length: REQUESTS }, (_, k) => {
      const i = (k * 7919) % count
      return k % 2 === 0 ? shape.hit(i) : shape.miss(i)
    })
    const slow = shape.matches === 0 && count > 1000
    const used = slow ? requests.slice(0, 20) : requests
    const facts = used.map(factsOf)
    const decideAll = () => {
      let allowed = 0
      for (const one of facts) if (decider.decide(one).kind === 'allow') allowed++
      return allowed
    }
    const wanted = shape.matches ?? used.length / 2
    if (decideAll() !== wanted) throw new Error(`${name}: ${decideAll()} of ${used.length} match, not ${wanted}`)
    if (!slow) for (let i = 0; i < 5; i++) decideAll()
    const ours = median(decideAll, used.length, slow ? 3 : 40)
    const theirs = name === 'mixed' && count <= 1000 ? peerTime(shape, count, requests) : null
    report.add({
      what: `${name}, ${count} policies`,
      ours,
      unit: 'ns',
      ...(theirs === null ? {} : { peer: 'grpc-js-xds', theirs }),
    })
  }
}
const targets = Array.from({ length: REQUESTS }, (_, i) => shapes.mixed.hit(i))
report.add({
  what: 'building the facts of a request',
  ours: median(() => targets.map(factsOf), REQUESTS, 40),
  unit: 'ns',
})
report.note(
  'Half of the requests match one policy, the others none. Rules with only `not` fields are tested one by one',
)
report.note('until one matches, so requests that violate all of them cost time in their number.')
report.print(process.argv[2])

function peerTime(shape, count, requests) {
  const decide = grpcDecider(Array.from({ length: count }, (_, i) => shape.rule(i)))
  const infos = requests.map(decide.info)
  const allowed = infos.filter((info) => decide.allows(info)).length
  if (allowed !== requests.length / 2) throw new Error(`the peer allows ${allowed} of ${requests.length}`)
  return median(() => infos.filter(decide.allows), infos.length, 5)
}

function factsOf({ peer, path = '/', ip = '10.0.0.1', claims = null }) {
  const facts = Facts.ofRequest(
    {
      peer: peer === undefined ? '' : `spiffe://${peer}`,
      sourceIp: parseIp(ip),
      destinationIp: own,
      destinationPort: 80,
      sni: '',
    },
    {
      method: 'GET',
      path,
      host: 'web.default',
      scheme: 'http',
      headers: HeaderMap.from([
        ['user-agent', 'bench'],
        ['x-request-id', '1'],
        ['accept', '*/*'],
      ]),
      remoteIp: own,
    },
  )
  facts.authenticated(path, claims)
  return facts
}

function policy(i, rule) {
  return {
    kind: 'AuthorizationPolicy',
    meta: { name: `p${i}`, namespace: 'default', labels: {}, annotations: {}, createdAt: 0 },
    origin: { document: { file: '', index: 0, value: null, locate: () => ({ line: 1, column: 1 }) }, path: [] },
    attachment: { kind: 'namespace' },
    action: 'ALLOW',
    provider: null,
    dryRun: false,
    rules: [rule],
  }
}
