import { ALLOWED, answersTo } from './expect.mjs'

/** So many findings end a run: more of them say no more. */
const MOST_FINDINGS = 20

/** Whether answers are right; counts what there was, and keeps what was not right. */
export class Judge {
  #world
  #stop
  findings = []
  /** By kind of traffic: `{ count, allowed, refused, failed, abandoned }`. */
  counts = new Map()

  /** `stop` is called when there is no use in going on. */
  constructor(world, stop) {
    this.#world = world
    this.#stop = stop
  }

  finding(text, { fatal = false } = {}) {
    if (this.findings.length < MOST_FINDINGS) this.findings.push(text)
    if (fatal || this.findings.length >= MOST_FINDINGS) this.#stop(text)
  }

  /** What `request` may be answered, should it be sent and answered now. */
  mayBe(request) {
    return answersTo(request, this.#world, performance.now(), performance.now())
  }

  /**
   * A request that was sent at `from` and whose answer, `{ status, body, application, grpcStatus, grpcMessage }`, is
   * whole. `application`: it came from there. `body` null is not compared.
   */
  answered(kind, request, from, answer) {
    const to = performance.now()
    const may = answersTo(request, this.#world, from, to)
    const count = this.#count(kind)
    if (answer.application) {
      if (!may.includes(ALLOWED)) return this.#wrong('allowed wrongly', kind, request, answer, may, to - from)
      count.allowed++
      return
    }
    const match = may.find((one) => one !== ALLOWED && fits(one, answer))
    if (match === undefined) return this.#wrong('answered wrongly', kind, request, answer, may, to - from)
    if (match.failed === undefined) count.refused++
    else count.failed++
  }

  /** A check of an authorizer itself: `allowed` as it said, `wanted` the possible answers, true, false, or both. */
  checked(kind, role, what, allowed, wanted) {
    const count = this.#count(kind)
    if (allowed) count.allowed++
    else count.refused++
    if (!wanted.includes(allowed)) {
      const verdict = allowed ? 'allowed wrongly' : 'refused wrongly'
      this.finding(`${kind}: ${role} ${verdict}: ${JSON.stringify(what)}`, { fatal: allowed })
    }
  }

  /** Nothing came of a check or a connection: right only where the process was not itself at that time. */
  broken(kind, role, from, what, error) {
    this.#count(kind).failed++
    if (this.#world.outages.touched(role, from, performance.now())) return
    this.finding(`${kind}: ${role} gave no answer to ${JSON.stringify(what)}: ${error}`)
  }

  /** It was given up by its client, or has no answer to look at. */
  abandoned(kind) {
    this.#count(kind).abandoned++
  }

  /** Nothing came of a request to a proxy, which is never right. */
  unanswered(kind, request, error) {
    this.#count(kind)
    this.finding(`${kind}: no answer to ${describe(request)}: ${error}`)
  }

  get total() {
    return [...this.counts.values()].reduce((sum, { count }) => sum + count, 0)
  }

  #count(kind) {
    let found = this.counts.get(kind)
    if (found === undefined) {
      found = { count: 0, allowed: 0, refused: 0, failed: 0, abandoned: 0 }
      this.counts.set(kind, found)
    }
    found.count++
    return found
  }

  #wrong(verdict, kind, request, answer, may, ms) {
    const text = `${kind}: ${verdict}: ${describe(request)}\n  got ${JSON.stringify({ ...answer, body: answer.body?.slice(0, 200) })}\n  after ${Math.round(ms)} ms; right would be ${JSON.stringify(may)}`
    this.finding(text, { fatal: answer.application })
  }
}

function fits(one, answer) {
  if (one.status !== answer.status) return false
  if (one.grpcStatus !== undefined) {
    return one.grpcStatus === answer.grpcStatus && (one.grpcMessage === '' || one.grpcMessage === answer.grpcMessage)
  }
  return answer.body === null || one.body === answer.body
}

function describe({ to, method, path, target, headers, body, token, grpc }) {
  const shown = { method, target: target ?? path, path, headers, token: token?.state, claims: token?.claims, grpc }
  return `${to} ${JSON.stringify({ ...shown, body: body.length > 80 ? `${body.length} bytes` : body })}`
}
