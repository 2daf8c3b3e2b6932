import type { TextKey } from './anchor.ts'
import { changeName, FEW_CLAIMS, getName, type Names } from './names.ts'
import type { Owner } from './owner.ts'
import { changeText, getText, type TextIndex } from './text-index.ts'

/** Values by what a claim, nested as deep as names say, must look like. */
export interface ClaimNode<V> {
  readonly value: TextIndex<V> | null
  readonly members: Names<ClaimNode<V>> | null
}

export function changeClaim<V>(
  node: ClaimNode<V> | null,
  path: readonly string[],
  key: TextKey,
  owner: Owner,
  change: (value: V | null) => V | null,
  depth = 0,
): ClaimNode<V> | null {
  const name = path[depth]
  let { value, members } = node ?? { value: null, members: null }
  if (name === undefined) value = changeText(value, key, owner, change)
  else {
    const changeMember = (member: ClaimNode<V> | null) => changeClaim(member, path, key, owner, change, depth + 1)
    members = changeName(members, name, FEW_CLAIMS, owner, changeMember)
  }
  return value === null && members === null ? null : { value, members }
}

export function getClaim<V>(root: ClaimNode<V> | null, path: readonly string[], key: TextKey): V | null {
  let node = root
  for (const name of path) node = getName(node?.members ?? null, name)
  return node === null ? null : getText(node.value, key)
}
