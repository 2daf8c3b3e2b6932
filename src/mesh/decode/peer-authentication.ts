import type { MtlsMode, PeerAuthentication } from '../peer-authentication.ts'
import type { Meta, Origin } from '../resource.ts'
import { selector } from './attachment.ts'
import { map, mapping, oneOf } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record } from './record.ts'

const mode = oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT')
const mtls = map(record({ mode: optional(mode, 'UNSET') }), (value): MtlsMode => value.mode)

const portLevelMtls = map(mapping(mtls), (modes, at): ReadonlyMap<number, MtlsMode> => {
  const ports = new Map<number, MtlsMode>()
  for (const [port, mode] of Object.entries(modes)) {
    if (/^(0|[1-9][0-9]{0,8})$/.test(port)) ports.set(Number(port), mode)
    else
      at.child(port, port).report('SP104', `expected a port number as the key, found \`${port}\``, {
        help: 'write the number alone: `8080: { mode: STRICT }`',
      })
  }
  return ports
})

const spec = record({
  selector: optional(selector, null),
  mtls: optional(mtls, 'UNSET'),
  portLevelMtls: optional(portLevelMtls, new Map<number, MtlsMode>()),
})

type Spec = NonNullable<ReturnType<typeof spec.decode>>

const EMPTY: Spec = { selector: null, mtls: 'UNSET', portLevelMtls: new Map() }

export const peerAuthentication = customResource(optional(spec, EMPTY))

export function toPeerAuthentication(raw: RawResource<Spec>, meta: Meta, origin: Origin): PeerAuthentication {
  return { kind: 'PeerAuthentication', meta, origin, ...raw.spec }
}
