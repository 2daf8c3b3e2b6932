/** Places in the old ruleset that are gone, and places in the new that came, both ascending. */
export interface RulesetChange {
  readonly gone: readonly number[]
  readonly came: readonly number[]
}

/** So many places are spliced one by one; more are met on one way through the list. */
const FEW = 16

/** The list after the change; `make` gives what stands at a place that came. */
export function applyChange<T>(
  old: readonly T[],
  { gone, came }: RulesetChange,
  make: (place: number, nth: number) => T,
): T[] {
  if (gone.length + came.length <= FEW) {
    const list = old.slice()
    for (const place of gone.toReversed()) list.splice(place, 1)
    for (const [nth, place] of came.entries()) list.splice(place, 0, make(place, nth))
    return list
  }
  const list: T[] = []
  const length = old.length - gone.length + came.length
  let from = 0
  let nextGone = 0
  let nextCame = 0
  for (let place = 0; place < length; place++) {
    if (came[nextCame] === place) {
      list.push(make(place, nextCame++))
    } else {
      for (; gone[nextGone] === from; nextGone++) from++
      list.push(old[from++] as T)
    }
  }
  return list
}
