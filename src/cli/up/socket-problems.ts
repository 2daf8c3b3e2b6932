import type { SocketEndpoint } from '../../mesh/sidecar.ts'
import type { ListenAddress } from '../../proxy/config.ts'
import { inboundId, type LocalIngress, type LocalWorkload, outboundId } from '../../proxy/configure.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** What can be told of listeners before any is opened: two on one socket, and one that would forward to itself. */
export function socketProblems(local: readonly LocalWorkload[]): Diagnostic[] {
  const problems: Diagnostic[] = []
  const taken = new Map<string, string>()
  const take = (id: string, { origin, listen }: Pick<LocalIngress, 'origin' | 'listen'>) => {
    if (listen.port === 0) return
    const key = `${listen.host}:${listen.port}`
    const other = taken.get(key)
    if (other === undefined) {
      taken.set(key, id)
      return
    }
    const message = `${id} would listen where ${other} does, on port ${listen.port}`
    const help = 'give each its own port or `bind`, or run one of them alone with --workload'
    problems.push(diagnostic('SP501', origin ?? { file: '--listen' }, message, { help }))
  }
  for (const { workload, inbound, outbound } of local) {
    for (const ingress of inbound) {
      take(inboundId(workload, ingress), ingress)
      const { listen, application, origin } = ingress
      if (!reaches(application, listen)) continue
      const message = `${inboundId(workload, ingress)} would forward to itself: its application is where it listens, on port ${listen.port}`
      const help = 'write where the application listens: `defaultEndpoint: 127.0.0.1:PORT`, or --app HOST:PORT'
      problems.push(diagnostic('SP504', origin ?? { file: '--app' }, message, { help }))
    }
    for (const egress of outbound) take(outboundId(workload, egress), egress)
  }
  return problems
}

const wildcards: ReadonlySet<string> = new Set(['', '0.0.0.0', '::'])
const loopback = /^(127\.\d+\.\d+\.\d+|::1)$/

/** Whether a connection to the application would arrive at the listener, as far as their addresses tell. */
function reaches(application: SocketEndpoint, listen: ListenAddress): boolean {
  if (application.kind === 'unix' || listen.port === 0 || application.port !== listen.port) return false
  const { host } = application
  // As a destination, these are a loopback address.
  const anyLoopback = host === 'localhost' || wildcards.has(host)
  if (wildcards.has(listen.host)) return anyLoopback || loopback.test(host)
  return host === listen.host || (anyLoopback && loopback.test(listen.host))
}
