import type { Mesh } from '../../mesh/mesh.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'
import { claimsOfNobody, httpDelegate, notPortable } from './delegation.ts'
import { hiddenAllow } from './hidden-allow.ts'
import { impossibleValue } from './impossible-value.ts'
import { literalStar } from './literal-star.ts'
import { misspeltName } from './misspelt-name.ts'
import { severalProviders } from './several-providers.ts'
import { targetsOf } from './targets.ts'
import { tcpPort } from './tcp-port.ts'
import { unknownPort } from './unknown-port.ts'
import { unknownTarget } from './unknown-target.ts'
import { unverifiedToken } from './unverified-token.ts'

const analyzers: readonly Analyzer[] = [
  claimsOfNobody,
  hiddenAllow,
  httpDelegate,
  impossibleValue,
  literalStar,
  misspeltName,
  notPortable,
  severalProviders,
  tcpPort,
  unknownPort,
  unknownTarget,
  unverifiedToken,
]

/** What is legal and yet most likely not meant. Decoding and validation have their own diagnostics. */
export function analyze(mesh: Mesh): readonly Diagnostic[] {
  const input = { mesh, targets: targetsOf(mesh) }
  return analyzers.flatMap((analyzer) => analyzer(input))
}
