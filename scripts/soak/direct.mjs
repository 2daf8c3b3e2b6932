import { request as open } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  allows,
  call,
  checkMessage,
  frame,
  healthMessage,
  healthOf,
  listMessage,
  METHODS,
  openSession,
  servicesOf,
} from './grpc-call.mjs'
import { decide, decideGate, decideRisk } from './rules.mjs'

const PATIENCE = 15_000
/** Calls after which a long connection is replaced, give or take. */
const LONG = 400

/** Checks that ask the authorizers without a proxy. `ports` by name; `go` says whether grpc-go is among them. */
export class Direct {
  #judge
  #targets
  #http
  #sessions = new Map()

  constructor({ ports, judge, world, go }) {
    this.#judge = judge
    const byDecide = (headers) => [decide(headers) === null]
    const byGate = (headers, from) =>
      world.gate.between(from, performance.now()).map((version) => decideGate(version, headers, '') === null)
    this.#targets = [
      { role: 'single', port: ports.singlePool, wanted: byDecide, ours: true },
      { role: 'pair', port: ports.pairPool, wanted: byDecide, ours: true },
      { role: 'cel', port: ports.celGrpc, wanted: byGate, ours: true },
      ...(go ? [{ role: 'go', port: ports.go, wanted: byDecide, ours: false }] : []),
    ]
    this.#http = [
      { role: 'cel', port: ports.celHttp, wanted: byGate },
      { role: 'pair', port: ports.pairRisk, wanted: (headers) => [decideRisk(headers) === null] },
    ]
  }

  close() {
    for (const session of this.#sessions.values()) session.destroy()
    this.#sessions.clear()
  }

  /** Does one thing, whole. */
  act(random) {
    const target = random.pick(this.#targets)
    const own = random.pick(this.#targets.filter(({ ours }) => ours))
    return random.weighted([
      [50, () => this.#long(random, target)],
      [8, () => this.#alone('check, short connection', random, target)],
      [8, () => this.#reset(random, target)],
      [4, () => this.#vanish(random, target)],
      [8, () => this.#malformed(random, own)],
      [4, () => this.#health(own)],
      [3, () => this.#watch(random, own)],
      [3, () => this.#reflection(own)],
      [2, () => this.#noise(random, own)],
      [10, () => this.#overHttp(random)],
    ])
  }

  /** One to eight checks at once on a connection that is kept. */
  async #long(random, target) {
    const session = this.#session(random, target)
    const count = random.pick([1, 1, 1, 2, 4, 8])
    await Promise.all(
      Array.from({ length: count }, () => this.#check('check, long connection', random, target, session)),
    )
  }

  async #alone(kind, random, target) {
    const session = openSession(target.port)
    try {
      await this.#check(kind, random, target, session)
    } finally {
      session.destroy()
    }
  }

  async #check(kind, random, target, session) {
    const headers = headersOf(random)
    const from = performance.now()
    try {
      const { status, messages } = await call(session, METHODS.check, checkMessage(headers))
      if (status !== 0 || messages.length !== 1) throw new Error(`status ${status}, ${messages.length} messages`)
      this.#judge.checked(kind, target.role, headers, allows(messages[0]), target.wanted(headers, from))
    } catch (error) {
      if (this.#sessions.get(target.port) === session) this.#sessions.delete(target.port)
      this.#judge.broken(kind, target.role, from, headers, error.message)
    }
  }

  /** A call that its caller gives up, beside one that must be answered. */
  async #reset(random, target) {
    const session = this.#session(random, target)
    const wait = random.int(4)
    const leave = (stream) => setTimeout(() => stream.close(8), wait)
    const given = call(session, METHODS.check, checkMessage({}), { leave, end: random.chance(0.5) }).catch(() => {})
    await Promise.all([given, this.#check('check beside a reset', random, target, session)])
    this.#judge.abandoned('reset')
  }

  /** A connection that is gone with its calls. */
  async #vanish(random, target) {
    const session = openSession(target.port)
    const calls = Array.from({ length: 5 }, () => call(session, METHODS.check, checkMessage({})).catch(() => {}))
    await delay(random.int(10))
    session.destroy()
    await Promise.all(calls)
    this.#judge.abandoned('connection given up')
  }

  async #malformed(random, target) {
    const { what, path = METHODS.check, bytes, headers = {}, statuses } = random.pick(MALFORMED)
    const session = this.#session(random, target)
    const from = performance.now()
    try {
      const { status } = await call(session, path, bytes, { headers })
      this.#judge.abandoned('malformed call')
      if (!statuses.includes(status))
        this.#judge.finding(`malformed call: ${target.role}: ${what}: status ${status}`, { fatal: status === 0 })
    } catch (error) {
      this.#judge.broken('malformed call', target.role, from, what, error.message)
    }
  }

  async #health(target) {
    const session = openSession(target.port)
    const from = performance.now()
    try {
      const { status, messages } = await call(session, METHODS.health, healthMessage)
      if (status !== 0 || healthOf(messages[0]) !== 1) throw new Error(`status ${status}`)
      this.#judge.abandoned('health')
    } catch (error) {
      this.#judge.broken('health', target.role, from, 'health', error.message)
    } finally {
      session.destroy()
    }
  }

  /** A watch that goes on for a while, and is given up. */
  async #watch(random, target) {
    const session = openSession(target.port)
    const from = performance.now()
    const patience = 100 + random.int(2000)
    let first = null
    const leave = (stream) => {
      stream.once('data', (chunk) => {
        first = chunk
        setTimeout(() => stream.close(8), patience)
      })
    }
    await call(session, METHODS.watch, healthMessage, { leave }).catch(() => {})
    session.destroy()
    if (first !== null && healthOf(first.subarray(5)) === 1) this.#judge.abandoned('health watch')
    else
      this.#judge.broken('health watch', target.role, from, 'watch', `the first message is ${first?.toString('hex')}`)
  }

  async #reflection(target) {
    const session = openSession(target.port)
    const from = performance.now()
    try {
      const { status, messages } = await call(session, METHODS.reflection, listMessage)
      const services = messages.length === 1 ? servicesOf(messages[0]) : []
      if (status !== 0 || !services.includes('envoy.service.auth.v3.Authorization'))
        throw new Error(`status ${status}, services ${services}`)
      this.#judge.abandoned('reflection')
    } catch (error) {
      this.#judge.broken('reflection', target.role, from, 'list', error.message)
    } finally {
      session.destroy()
    }
  }

  /** Bytes that are no HTTP/2: the connection must end. */
  async #noise(random, target) {
    const from = performance.now()
    const bytes = random.pick([
      'GET / HTTP/1.1\r\nhost: soak\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
      `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(30)}`,
      '\x16\x03\x01\x00\x05hello',
    ])
    const ended = await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: target.port })
      socket.setTimeout(PATIENCE, () => {
        resolve(false)
        socket.destroy()
      })
      socket.on('error', () => {}).resume()
      socket.once('close', () => resolve(true))
      socket.write(bytes, 'latin1')
    })
    if (ended) this.#judge.abandoned('noise')
    else this.#judge.broken('noise', target.role, from, bytes, 'the connection stayed open')
  }

  async #overHttp(random) {
    const target = random.pick(this.#http)
    const headers = headersOf(random)
    const from = performance.now()
    try {
      const status = await new Promise((resolve, reject) => {
        const message = open({ host: '127.0.0.1', port: target.port, path: '/direct', headers, agent: false })
        message.setTimeout(PATIENCE, () => message.destroy(new Error('nothing came')))
        message.once('error', reject)
        message.once('response', (response) => {
          response.once('error', reject).resume()
          response.once('end', () => resolve(response.statusCode))
        })
        message.end()
      })
      this.#judge.checked('check over HTTP', target.role, headers, status === 200, target.wanted(headers, from))
    } catch (error) {
      this.#judge.broken('check over HTTP', target.role, from, headers, error.message)
    }
  }

  #session(random, { port }) {
    const known = this.#sessions.get(port)
    if (known !== undefined && !known.closed && !known.destroyed && !random.chance(1 / LONG)) return known
    // Its calls end before it does.
    known?.close()
    const session = openSession(port)
    this.#sessions.set(port, session)
    return session
  }
}

function headersOf(random) {
  const headers = {}
  const decision = random.pick(['allow', 'no', null])
  if (decision !== null) headers['x-decide'] = decision
  const user = random.pick(['alice', 'bob', 'carol', null])
  if (user !== null) headers['x-user'] = user
  headers['x-device'] = random.pick(['phone-1', 'phone-13'])
  if (random.chance(0.2)) headers['x-padding'] = 'p'.repeat(random.int(8000))
  return headers
}

const good = checkMessage({ 'x-decide': 'allow', 'x-user': 'alice' })

/** Calls that must not be answered with 0, and with what they are. */
const MALFORMED = [
  { what: 'no protobuf', bytes: frame(Buffer.from('\xff\xff\xff\xff no', 'latin1')), statuses: [3, 13] },
  { what: 'half a message', bytes: good.subarray(0, good.length - 3), statuses: [3, 13] },
  { what: 'no message', bytes: Buffer.alloc(0), statuses: [3, 12, 13] },
  { what: 'two messages', bytes: Buffer.concat([good, good]), statuses: [3, 12, 13] },
  { what: 'an unknown method', path: '/envoy.service.auth.v3.Authorization/No', bytes: good, statuses: [12] },
  { what: 'an unknown service', path: '/no.Such/Check', bytes: good, statuses: [12] },
  { what: 'too large a message', bytes: Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1]), statuses: [8] },
  {
    what: 'a compressed message without an encoding',
    bytes: Buffer.from([1, ...good.subarray(1)]),
    statuses: [3, 12, 13],
  },
  { what: 'a deadline that is no time', bytes: good, headers: { 'grpc-timeout': 'soon' }, statuses: [3, 13] },
]
