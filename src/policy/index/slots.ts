/**
 * Rules have a slot for as long as they are in an index; their rank, the place in Envoy's order, changes with what comes
 * and goes before them. Lists of slots are in order of rank.
 */
export type Ranks = Int32Array

/** Where a slot is in a list, or where it belongs. */
export function placeOf(list: readonly number[], slot: number, ranks: Ranks): number {
  const rank = ranks[slot] as number
  let low = 0
  let high = list.length
  // Rules mostly come in order.
  if (high > 0 && (ranks[list[high - 1] as number] as number) < rank) return high
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranks[list[middle] as number] as number) < rank) low = middle + 1
    else high = middle
  }
  return low
}

export function holds(list: readonly number[], slot: number, ranks: Ranks): boolean {
  return list[placeOf(list, slot, ranks)] === slot
}

export function insert(list: number[], slot: number, ranks: Ranks): void {
  list.splice(placeOf(list, slot, ranks), 0, slot)
}

export function remove(list: number[], slot: number, ranks: Ranks): void {
  const place = placeOf(list, slot, ranks)
  if (list[place] === slot) list.splice(place, 1)
}
