import { type PeerPattern, peerTest, SPIFFE_SCHEME } from '../../match/spiffe.ts'
import { isOpen, type TextTest, treeOf } from './text-set.ts'

/** Tests on the peer's id of which one holds when any pattern does; more than `many` are looked up instead of tried. */
export function compilePeers(patterns: readonly PeerPattern[], many: number): readonly TextTest[] {
  if (patterns.length <= many) return patterns.map(peerTest)
  const ids = new Set<string>()
  const namespaces: string[] = []
  const others: PeerPattern[] = []
  for (const pattern of patterns) {
    if (pattern.kind === 'principal' && pattern.match.kind === 'exact') ids.add(SPIFFE_SCHEME + pattern.match.value)
    else if (pattern.kind === 'namespace' && pattern.parts.length === 1) namespaces.push(`${pattern.parts[0]}/`)
    else others.push(pattern)
  }
  const tests = others.map(peerTest)
  if (ids.size > 0) tests.push((peer) => ids.has(peer))
  if (namespaces.length > 0) tests.push(namespacesTest(namespaces))
  return tests
}

const MARKER = '/ns/'

/** Whether what follows some `/ns/` begins with any of the texts. */
function namespacesTest(texts: readonly string[]): TextTest {
  const tree = treeOf(texts)
  return (peer) => {
    for (let i = peer.indexOf(MARKER); i !== -1; i = peer.indexOf(MARKER, i + 1)) {
      if (isOpen(tree, peer, i + MARKER.length, peer.length, 1)) return true
    }
    return false
  }
}
