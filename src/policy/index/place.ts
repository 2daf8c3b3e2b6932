import { type Anchor, anchorName, breadth } from './anchor.ts'
import { type Cost, candidateAnchors, chooseAnchors, sharing } from './anchors-of.ts'
import {
  type Bucket,
  bucketOf,
  changeBucket,
  emptyNode,
  isUsed,
  ownNode,
  type RuleNode,
  type SharedBucket,
  sizeOf,
} from './node.ts'
import { addToRest, type RestEdit, removeFromRest } from './rest.ts'
import { holds, insert, remove } from './slots.ts'

/** One edit of an index. `split`: how many rules in a bucket are one too many to be tested one by one. */
export type Edit = RestEdit

/**
 * How many anchors a rule may have in a node of that depth: at the top, one for each of its values; below, where it is
 * held once for each bucket above, so few that the whole stays in proportion to the policies' text.
 */
const MOST = [Number.POSITIVE_INFINITY, 8, 2, 1] as const

function mostAt(depth: number): number {
  return MOST[depth] ?? 0
}

/** Each attribute that is in use costs every decision a look-up: one more must be worth so many rules. */
const UNUSED = 4

/**
 * Adds a rule to a node that is the edit's. `taken` names the anchors that led here. Where the cost of anchors is not
 * known from all of the rules, how full the buckets are tells it.
 */
export function addRule(node: RuleNode, slot: number, taken: readonly string[], known: Cost | null, edit: Edit): void {
  const load: Cost = (anchor) =>
    (1 + sizeOf(bucketOf(node, anchor)) + (isUsed(node, anchor) ? 0 : UNUSED)) * breadth(anchor)
  const anchors = chooseAnchors(edit.ruleAt(slot), known ?? load, taken, mostAt(taken.length))
  if (anchors === null) {
    node.rest = addToRest(node.rest, slot, taken.length > 0, edit)
    return
  }
  for (const anchor of anchors) {
    changeBucket(node, anchor, edit.owner, (bucket) => addToBucket(bucket, slot, anchor, taken, edit))
  }
}

/** Removes a rule from a node of that depth, which is the edit's, wherever it stands. */
export function removeRule(node: RuleNode, slot: number, depth: number, edit: Edit): void {
  for (const anchor of candidateAnchors(edit.ruleAt(slot), mostAt(depth))) {
    const bucket = bucketOf(node, anchor)
    if (!isIn(bucket, slot, edit)) continue
    changeBucket(node, anchor, edit.owner, (bucket) => removeFromBucket(bucket, slot, depth, edit))
  }
  if (node.rest !== null) node.rest = removeFromRest(node.rest, slot, edit)
}

function isIn(bucket: Bucket | null, slot: number, { ranks }: Edit): boolean {
  return typeof bucket === 'number' ? bucket === slot : bucket !== null && holds(bucket.rules, slot, ranks)
}

function addToBucket(old: Bucket | null, slot: number, anchor: Anchor, taken: readonly string[], edit: Edit): Bucket {
  if (old === null) return slot
  // Two alternatives of a rule may have the same anchor.
  if (isIn(old, slot, edit)) return old
  const bucket = ownBucket(old, edit)
  insert(bucket.rules, slot, edit.ranks)
  const now = [...taken, anchorName(anchor)]
  if (bucket.inner !== null) {
    bucket.inner = ownNode(bucket.inner, edit.owner)
    addRule(bucket.inner, slot, now, null, edit)
  } else if (bucket.rules.length > edit.split && now.length < MOST.length) {
    bucket.inner = emptyNode(edit.owner)
    const cost = sharing(bucket.rules.map(edit.ruleAt), mostAt(now.length))
    for (const one of bucket.rules) addRule(bucket.inner, one, now, cost, edit)
  }
  return bucket
}

function removeFromBucket(old: Bucket | null, slot: number, depth: number, edit: Edit): Bucket | null {
  if (old === null || typeof old === 'number') return null
  const bucket = ownBucket(old, edit)
  remove(bucket.rules, slot, edit.ranks)
  if (bucket.rules.length <= 1) return bucket.rules[0] ?? null
  if (bucket.rules.length <= edit.split / 2) {
    bucket.inner = null
  } else if (bucket.inner !== null) {
    bucket.inner = ownNode(bucket.inner, edit.owner)
    removeRule(bucket.inner, slot, depth + 1, edit)
  }
  return bucket
}

function ownBucket(bucket: Bucket, { owner }: Edit): SharedBucket {
  if (typeof bucket === 'number') return { owner, rules: [bucket], inner: null }
  return bucket.owner === owner ? bucket : { owner, rules: [...bucket.rules], inner: bucket.inner }
}
