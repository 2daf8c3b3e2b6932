import type { Json } from '../../source/document.ts'
import type { PolicyTest } from '../policy-test.ts'
import type { Meta, Origin } from '../resource.ts'
import { anything, asObject, map } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { required } from './record.ts'

export const policyTest = customResource(required(map(anything, (_, at): Json | undefined => asObject(at))))

export function toPolicyTest(raw: RawResource<Json>, meta: Meta, origin: Origin): PolicyTest {
  return { kind: 'PolicyTest', meta, origin, spec: raw.spec }
}
