import type { RbacReport } from '../../envoy/index.ts'

/** Of filters with many rules that no tree could take apart. */
export function listNotes(reports: readonly RbacReport[], fewest: number): readonly string[] {
  return unique(reports.filter(({ longest }) => longest >= fewest).map(noteOf))
}

function noteOf({ purpose, protocol, rules, longest, dimensions }: RbacReport): string {
  const filter = `the ${purpose} filter for ${protocol.toUpperCase()}`
  if (protocol === 'tcp') return `${filter} stays a list of ${rules} rules: Envoy walks it once for each connection`
  if (dimensions.length === 0) {
    return `${filter} stays a list of ${rules} rules: no path, host, peer, header, port or address tells them apart`
  }
  return `${filter} has a tree by ${dimensions.join(', ')}, and up to ${longest} of its ${rules} rules stay a list there`
}

/** What stands above the configuration. */
export function treeComment(id: string, reports: readonly RbacReport[]): string {
  const head = `# Envoy in front of ${id}, by sallyport envoy\n`
  return reports.length === 0 ? head : `${head}# RBAC filters:\n${unique(reports.map(lineOf)).join('\n')}\n`
}

function lineOf({ purpose, protocol, secured, rules, longest, dimensions }: RbacReport): string {
  const name = `#   ${purpose} for ${protocol.toUpperCase()}`
  const count = `${rules} ${rules === 1 ? 'rule' : 'rules'}`
  if (dimensions.length === 0) return `${name}: ${count}, a list`
  // A tree on plaintext connections leaves out what needs a peer.
  const channel = secured ? 'over TLS' : 'in plaintext'
  return `${name} ${channel}: ${count}, a tree by ${dimensions.join(', ')}; ${longest} at most are walked`
}

function unique(lines: readonly string[]): string[] {
  return [...new Set(lines)]
}
