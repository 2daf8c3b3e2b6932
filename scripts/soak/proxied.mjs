import { Agent, request as open } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { neverAllowed } from './expect.mjs'
import { ODD } from './odd.mjs'
import { plainRequest, randomRequest } from './requests.mjs'

/** Longer than anything may take: providers are given up after 2.5 s, and workers are replaced after 5. */
const PATIENCE = 20_000
const LARGE = 256 * 1024

/** Requests to the proxies, of all kinds. `ports`: where the workloads listen. */
export class Proxied {
  #ports
  #judge
  #tokens
  #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  constructor({ ports, judge, tokens }) {
    this.#ports = ports
    this.#judge = judge
    this.#tokens = tokens
  }

  close() {
    this.#agent.destroy()
  }

  /** Does one thing, whole. */
  act(random) {
    return random.weighted([
      [70, () => this.request(random)],
      [6, () => this.aborted(random)],
      [3, () => this.slowReader(random)],
      [3, () => this.slowWriter(random)],
      [5, () => this.upgrade(random)],
      [8, () => this.odd(random)],
      [5, () => this.pipelined(random)],
    ])
  }

  async request(random) {
    const request = randomRequest(random, this.#tokens)
    const kind = request.grpc ? 'gRPC over HTTP/1.1' : `request to ${request.to}`
    const from = performance.now()
    try {
      const { response, body } = await exchange(this.#open(request, random.chance(0.8)), request.body)
      const { headers, statusCode: status } = response
      const application = headers['x-application'] === 'soak'
      const grpc = headers['grpc-status']
      this.#judge.answered(kind, request, from, {
        status,
        body: request.method === 'HEAD' ? null : body,
        application,
        ...(grpc === undefined ? {} : { grpcStatus: Number(grpc), grpcMessage: decode(headers['grpc-message']) }),
      })
      if (application && request.method !== 'HEAD') this.#seen(kind, request, response, body)
    } catch (error) {
      this.#judge.unanswered(kind, request, error.message)
    }
  }

  /** What the application was told. */
  #seen(kind, request, response, body) {
    const { headers, bytes } = JSON.parse(body)
    const wrong = []
    if (bytes !== request.body.length) wrong.push(`the application got ${bytes} bytes of the body`)
    if (request.headers['x-decide'] === 'rewrite' && request.path.startsWith('/checked/')) {
      if (headers['x-secret'] !== undefined) wrong.push('what the provider removes got through')
      if (response.headers['x-checked'] === undefined) wrong.push('the header that the provider sets is missing')
    }
    if (request.to === 'gate' && headers['x-role'] !== 'member') wrong.push('the role is missing')
    if (request.to === 'orders' && request.path.startsWith('/orders') && headers['x-user'] !== request.token.claims.sub)
      wrong.push(`the application was told of ${headers['x-user']}`)
    for (const what of wrong) this.#judge.finding(`${kind}: ${what}: ${JSON.stringify(request)}`)
  }

  async aborted(random) {
    const request = randomRequest(random, this.#tokens)
    const message = this.#open(request, random.chance(0.5), { 'content-length': request.body.length + 1000 })
    const ended = new Promise((resolve) => message.once('close', resolve))
    message.on('response', (response) => response.on('error', () => {}).resume())
    message.on('error', () => {})
    if (random.chance(0.7)) message.write(request.body)
    else message.flushHeaders()
    await delay(random.int(30))
    message.destroy()
    await ended
    this.#judge.abandoned('aborted')
  }

  async slowReader(random) {
    const request = plainRequest('/open/large')
    const from = performance.now()
    const pause = 5 + random.int(40)
    const leave = random.chance(0.3)
    try {
      const response = await head(this.#open(request, false))
      let bytes = 0
      for await (const chunk of response) {
        bytes += chunk.length
        if (leave && bytes > LARGE / 2) break
        await delay(pause)
      }
      if (leave) return this.#judge.abandoned('slow reader')
      const { statusCode: status, headers } = response
      this.#judge.answered('slow reader', request, from, {
        ...{ status, body: null, application: headers['x-application'] === 'soak' },
      })
      if (bytes !== LARGE) this.#judge.finding(`slow reader: ${bytes} of ${LARGE} bytes came`)
    } catch (error) {
      this.#judge.unanswered('slow reader', request, error.message)
    }
  }

  async slowWriter(random) {
    const checked = random.chance(0.5)
    const headers = checked ? { 'x-decide': random.pick(['allow', 'no']) } : {}
    const request = { ...plainRequest(checked ? '/checked/upload' : '/open/upload', headers), method: 'POST' }
    const from = performance.now()
    const message = this.#open(request, false)
    const writing = (async () => {
      for (let i = 0; i < 5 && !message.destroyed; i++) {
        message.write('part of it')
        await delay(random.int(60))
      }
      message.end()
    })()
    try {
      const { response, body } = await exchange(message, null)
      const { statusCode: status, headers: got } = response
      this.#judge.answered('slow writer', request, from, {
        ...{ status, body, application: got['x-application'] === 'soak' },
      })
    } catch (error) {
      this.#judge.unanswered('slow writer', request, error.message)
    }
    await writing
  }

  async upgrade(random) {
    const path = random.pick(['/open/ws', '/checked/ws', '/forbidden/ws', '/elsewhere'])
    const decision = path.startsWith('/checked') ? { 'x-decide': random.pick(['allow', 'no']) } : {}
    const request = plainRequest(path, decision)
    const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
    const fields = { ...upgrade, 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
    const from = performance.now()
    try {
      const message = this.#open(request, false, fields)
      const answer = await new Promise((resolve, reject) => {
        message.once('error', reject)
        message.once('upgrade', (response, socket) => resolve({ response, socket }))
        message.once('response', (response) => resolve({ response, socket: null }))
        message.end()
      })
      const { response, socket } = answer
      const application = socket !== null
      const body = application ? '' : await text(response)
      this.#judge.answered('upgrade', request, from, { status: response.statusCode, body, application })
      if (socket === null) return
      socket.on('error', () => {})
      socket.setTimeout(PATIENCE, () => socket.destroy())
      socket.write('hello')
      const [back] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
      if (String(back) !== 'hello') this.#judge.finding(`upgrade: what came back is ${back}`)
      if (random.chance(0.5)) socket.end()
      await delay(random.int(50))
      socket.destroy()
    } catch (error) {
      this.#judge.unanswered('upgrade', request, error.message)
    }
  }

  /** Bytes that are no good request, or an unusual one, and the statuses that may come of them. */
  async odd(random) {
    const { name, bytes, statuses } = random.pick(ODD)
    const answer = await this.#raw(bytes, (text) => /^HTTP\/1\.1 \d/.test(text) && text.includes('\r\n\r\n'))
    const found = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]
    const status = found === undefined ? 'closed' : Number(found)
    this.#judge.abandoned('odd bytes')
    if (answer.includes('x-application: soak') && !statuses.includes(200)) {
      this.#judge.finding(`odd bytes: allowed wrongly: ${name}\n  ${JSON.stringify(answer)}`, { fatal: true })
    } else if (!statuses.includes(status)) {
      this.#judge.finding(`odd bytes: ${name}: got ${status}, right would be ${statuses.join(' or ')}`)
    }
  }

  async pipelined(random) {
    const wanted = []
    let bytes = ''
    for (let i = 2 + random.int(4); i > 0; i--) {
      const [path, status] = random.pick([
        ['/open/p', 200],
        ['/forbidden/p', 403],
        ['/elsewhere', 403],
      ])
      bytes += `GET ${path} HTTP/1.1\r\nhost: soak\r\n${i === 1 ? 'connection: close\r\n' : ''}\r\n`
      wanted.push(status)
    }
    const answer = await this.#raw(bytes, () => false)
    const got = [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
    this.#judge.abandoned('pipelined')
    if (got.join() !== wanted.join()) {
      this.#judge.finding(`pipelined: got ${got}, right would be ${wanted}`, { fatal: got.length > wanted.length })
    }
  }

  /** What comes back until it is enough or the connection ends. */
  #raw(bytes, enough) {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.#ports.pool })
      let got = ''
      socket.setTimeout(PATIENCE, () => socket.destroy())
      socket.on('error', () => {})
      socket.setEncoding('latin1').on('data', (more) => {
        got += more
        if (enough(got)) socket.destroy()
      })
      socket.once('close', () => resolve(got))
      socket.write(bytes, 'latin1')
    })
  }

  #open({ to, method, target, headers, token, body, ...request }, keep, more = {}) {
    const refused = neverAllowed({ to, method, target, headers, token, body, ...request })
    const message = open({
      ...{ host: '127.0.0.1', port: this.#ports[to], method, path: target, agent: keep ? this.#agent : false },
      headers: {
        ...headers,
        ...(token === null ? {} : { authorization: `Bearer ${token.text}` }),
        ...(body === '' ? {} : { 'content-length': body.length }),
        ...(refused ? { 'x-soak-expect': 'refused' } : {}),
        ...more,
      },
    })
    message.setTimeout(PATIENCE, () => message.destroy(new Error(`nothing came in ${PATIENCE / 1000} s`)))
    return message
  }
}

function head(message) {
  return new Promise((resolve, reject) => {
    message.once('response', resolve).once('error', reject)
    message.end()
  })
}

/** Sends the body, unless it is null and somebody else does. */
function exchange(message, body) {
  return new Promise((resolve, reject) => {
    let answered = false
    // A refusal may come while the body is on its way, which the proxy then need not read.
    message.on('error', (error) => {
      if (!answered) reject(error)
    })
    message.once('response', (response) => {
      answered = true
      text(response).then((body) => resolve({ response, body }), reject)
    })
    if (body !== null) message.end(body)
  })
}

async function text(response) {
  let body = ''
  for await (const chunk of response.setEncoding('latin1')) body += chunk
  return body
}

function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...values) => resolve(values)))
}

function decode(message = '') {
  return decodeURIComponent(message)
}
