import { parseIp } from '../../match/ip.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import type { PlacedPort, Placement } from '../translate/workload.ts'

/** Bytes of a Unix socket's path. */
const LONGEST_PATH = 107

/** Addresses that Envoy could not listen on or connect to. */
export function placementProblems(placement: Placement): readonly Diagnostic[] {
  switch (placement.kind) {
    case 'redirected':
      return hostProblems(placement.listen.host, '--listen')
    case 'ports':
      return placement.ports.flatMap((port) => [...hostProblems(port.listen.host, '--listen'), ...pathProblems(port)])
    default:
      return placement satisfies never
  }
}

function hostProblems(host: string, file: string): Diagnostic[] {
  if (host === '' || parseIp(host) !== null) return []
  const help = 'write the IP address, or nothing for all: `--listen 8080=127.0.0.1:18080`'
  return [diagnostic('SP606', { file }, `Envoy listens on IP addresses, not on \`${host}\``, { help })]
}

function pathProblems({ application }: PlacedPort): Diagnostic[] {
  if (application.kind !== 'unix' || new TextEncoder().encode(application.path).length <= LONGEST_PATH) return []
  const message = `the path of a socket is longer than ${LONGEST_PATH} bytes: \`${application.path}\``
  return [diagnostic('SP606', { file: '--app' }, message, { help: 'use a shorter path' })]
}
