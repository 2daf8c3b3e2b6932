import type { RbacReport } from '../../envoy/index.ts'

/** Of filters with many rules that no tree could take apart. */
export function listNotes(reports: readonly RbacReport[], fewest: number): readonly string[] {
  return unique(
    reports
      .filter(({ longest }) => longest >= fewest)
      .map(({ purpose, protocol, rules, longest, dimensions }) => {
        const filter = `the ${purpose} filter for ${protocol.toUpperCase()}`
        if (protocol === 'tcp') {
          return `${filter} stays a list of ${rules} rules: Envoy walks it once for each connection`
        }
        return dimensions.length === 0
          ? `${filter} stays a list of ${rules} rules: no path, host, peer, header, port or address tells them apart`
          : `${filter} has a tree by ${dimensions.join(', ')}, and up to ${longest} of its ${rules} rules stay a list there`
      }),
  )
}

/** What stands above the configuration. */
export function treeComment(id: string, reports: readonly RbacReport[]): string {
  const lines = reports.map(({ purpose, protocol, rules, longest, dimensions }) => {
    const form =
      dimensions.length === 0 ? 'a list' : `a tree by ${dimensions.join(', ')}; at most ${longest} are walked`
    return `#   ${purpose} for ${protocol.toUpperCase()}: ${rules} ${rules === 1 ? 'rule' : 'rules'}, ${form}`
  })
  const head = `# Envoy in front of ${id}, by sallyport envoy\n`
  return lines.length === 0 ? head : `${head}# RBAC filters:\n${unique(lines).join('\n')}\n`
}

function unique(lines: readonly string[]): string[] {
  return [...new Set(lines)]
}
