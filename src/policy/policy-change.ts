import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'

/** What differs between two lists of policies. A policy that changed its place among those that stay is in both. */
export interface PolicyChange {
  readonly gone: readonly AuthorizationPolicy[]
  /** In their new order. */
  readonly came: readonly AuthorizationPolicy[]
}

/**
 * Compares by identity: the same object is the same policy. What the lists begin and end with alike is passed over, and
 * the rest compared one by one. Null where the new list has an object twice, which leaves it without one place.
 */
export function comparePolicies(
  old: readonly AuthorizationPolicy[],
  now: readonly AuthorizationPolicy[],
): PolicyChange | null {
  const most = Math.min(old.length, now.length)
  let head = 0
  while (head < most && old[head] === now[head]) head++
  let tail = 0
  while (tail < most - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++
  const end = now.length - tail
  const change = compareAll(old.slice(head, old.length - tail), now.slice(head, end))
  return change === null || occursOutside(change.came, now, head, end) ? null : change
}

function compareAll(old: readonly AuthorizationPolicy[], now: readonly AuthorizationPolicy[]): PolicyChange | null {
  const before = new Set(old)
  const after = new Set(now)
  if (after.size < now.length) return null
  const gone: AuthorizationPolicy[] = []
  const came: AuthorizationPolicy[] = []
  const moved = new Set<AuthorizationPolicy>()
  for (let i = 0, j = 0; i < old.length || j < now.length; ) {
    const left = old[i]
    const right = now[j]
    if (left !== undefined && left === right) {
      i++
      j++
    } else if (right !== undefined && (!before.has(right) || moved.has(right))) {
      came.push(right)
      j++
    } else if (left !== undefined) {
      // Gone, or standing further on in the new list.
      if (after.has(left)) moved.add(left)
      gone.push(left)
      i++
    } else {
      throw new Error('a policy of both lists was met in neither')
    }
  }
  return { gone, came }
}

function occursOutside(
  policies: readonly AuthorizationPolicy[],
  all: readonly AuthorizationPolicy[],
  from: number,
  to: number,
): boolean {
  if (policies.length <= 8) {
    return policies.some((policy) => all.indexOf(policy) < from || all.lastIndexOf(policy) >= to)
  }
  const set = new Set(policies)
  for (let i = 0; i < all.length; i++) {
    if (i === from) i = to
    if (i < all.length && set.has(all[i] as AuthorizationPolicy)) return true
  }
  return false
}
