import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import { authorizationOf } from '../translate/authorization.ts'
import { hasControl } from './policy-problems.ts'

/** Seconds of the longest duration that protobuf has. */
const LONGEST_TIMEOUT = 315_576_000_000

/** What Envoy would refuse in the provider that a workload's CUSTOM policies ask. */
export function providerProblems(mesh: Mesh, workload: Workload, service: TargetService | null): readonly Diagnostic[] {
  const { custom } = authorizationOf(mesh, workload, 'http', service)
  return custom.flatMap((stage) => (stage.kind === 'check' ? problemsOf(mesh, stage.provider) : []))
}

function problemsOf({ config }: Mesh, provider: Provider): Diagnostic[] {
  const { name } = provider
  const refuse = (what: string, help: string) =>
    diagnostic(
      'SP605',
      config.origin === null ? { file: 'MeshConfig' } : config.origin,
      `Envoy refuses the provider \`${name}\`: ${what}`,
      { help },
    )
  const problems: Diagnostic[] = []
  if (provider.timeout / 1000 > LONGEST_TIMEOUT) {
    problems.push(refuse('its timeout is longer than a duration can be', 'write seconds: `timeout: 0.5s`'))
  }
  if (provider.kind === 'grpc') return problems
  for (const [header, value] of provider.includeAdditionalHeaders) {
    if (header === '' || hasControl(header)) {
      problems.push(refuse('an additional header has no usable name', 'write names such as `x-from`'))
    }
    if (hasControl(value)) {
      const what = `the value of the additional header \`${header}\` has a NUL or the end of a line in it`
      problems.push(refuse(what, 'write it in one line'))
    }
  }
  return problems
}
