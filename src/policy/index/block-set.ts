import { blockContains, type IpAddress, type IpBlock } from '../../match/ip.ts'
import { type BitNode, bitAt, changeBits, startsWith } from './bit-tree.ts'

/** Whether an address lies in any of the blocks; more than `many` are looked up instead of tried. */
export function compileBlocks(blocks: readonly IpBlock[], many: number): (address: IpAddress) => boolean {
  const [first] = blocks
  if (blocks.length === 1 && first !== undefined) return (address) => blockContains(first, address)
  if (blocks.length <= many) {
    return (address) => {
      for (let i = 0; i < blocks.length; i++) if (blockContains(blocks[i] as IpBlock, address)) return true
      return false
    }
  }
  const owner = {}
  const trees: { v4: BitNode<true> | null; v6: BitNode<true> | null } = { v4: null, v6: null }
  for (const { address, bits } of blocks) {
    const family = address.v6 ? 'v6' : 'v4'
    trees[family] = changeBits(trees[family], { ...address, bits }, owner, () => true)
  }
  const { v4, v6 } = trees
  return ({ v6: isV6, a, b, c, d }) => {
    let node = isV6 ? v6 : v4
    while (node !== null && startsWith(a, b, c, d, node)) {
      if (node.value !== null) return true
      node = bitAt(a, b, c, d, node.bits) === 0 ? node.zero : node.one
    }
    return false
  }
}
