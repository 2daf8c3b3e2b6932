/** Longer words are not compared: no name of ours comes near. */
const MAX_LENGTH = 80

/**
 * The candidate that was most likely meant, or null when none is near: at most one edit in four letters (insertion,
 * deletion, substitution, transposition of neighbours; case is free), or a word that is the greater part of one candidate's
 * beginning (`Authorization` for `AuthorizationPolicy`).
 */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  if (word.length === 0 || word.length > MAX_LENGTH) return null
  const lower = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Number.POSITIVE_INFINITY
  let prefixOf: string | null = null
  for (const candidate of candidates) {
    if (candidate.length > MAX_LENGTH) continue
    const target = candidate.toLowerCase()
    const allowed = Math.min(Math.max(1, Math.floor(Math.max(lower.length, target.length) / 4)), 4)
    if (Math.abs(lower.length - target.length) <= allowed) {
      const distance = editDistance(lower, target, allowed)
      // Of a very short word everything is near: at least half of it must stay.
      if (distance <= allowed && distance * 2 <= lower.length && distance < bestDistance) {
        best = candidate
        bestDistance = distance
      }
    }
    if (lower.length >= 4 && lower.length * 2 >= target.length && target.startsWith(lower)) prefixOf ??= candidate
  }
  return best ?? prefixOf
}

/**
 * The one of some names that users gave which a name was most likely meant to be. Stricter than `suggest`, since names
 * may differ on purpose: those that count (`web1`, `web2`), end in a short part of their own (`team-a`, `team-b`) or go
 * on from another (`api`, `api-canary`), and all of fewer than four letters, are left alone.
 */
export function suggestName(name: string, names: Iterable<string>): string | null {
  if (name.length < 4 || name.length > MAX_LENGTH) return null
  let best: string | null = null
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of names) {
    const longest = Math.max(name.length, candidate.length)
    const allowed = Math.min(Math.floor(longest / 4), 2)
    if (candidate.length < 4 || candidate.length > MAX_LENGTH) continue
    if (Math.abs(name.length - candidate.length) > allowed) continue
    const distance = editDistance(name, candidate, allowed)
    if (distance === 0 || distance > allowed || distance >= bestDistance || areSiblings(name, candidate)) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

function areSiblings(a: string, b: string): boolean {
  if (a.replace(/[0-9]+/g, '') === b.replace(/[0-9]+/g, '')) return true
  const [left, right] = [a.split(/[-._]/), b.split(/[-._]/)]
  if (left.length !== right.length) return a.startsWith(b) || b.startsWith(a)
  const other = left.findIndex((part, i) => part !== right[i])
  return Math.min((left[other] ?? '').length, (right[other] ?? '').length) <= 2
}

// Candidates can be as many as the names in a mesh, so that the rows are made once. A lower-case letter can be longer.
const ROW = 3 * MAX_LENGTH + 1
let before = new Int32Array(ROW)
let previous = new Int32Array(ROW)
let current = new Int32Array(ROW)

/** Optimal string alignment: edits where no part is edited twice. Beyond `limit`, some number that is greater. */
function editDistance(a: string, b: string, limit: number): number {
  for (let j = 0; j <= b.length; j++) previous[j] = j
  for (let i = 1; i <= a.length; i++) {
    current[0] = i
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1
      let cost = Math.min(
        (previous[j] as number) + 1,
        (current[j - 1] as number) + 1,
        (previous[j - 1] as number) + same,
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] as number) + 1)
      }
      current[j] = cost
      if (cost < least) least = cost
    }
    // A transposition reaches back two rows and adds one.
    if (least > limit + 1) return least
    ;[before, previous, current] = [previous, current, before]
  }
  return previous[b.length] as number
}
