// A bounded load generator: { port, count, connections, seconds } in, { requests, seconds, all } out, of which
// `all` counts those before the time began too. Each connection has one request under way at a time, and each answer must
// be the expected one.
import { once } from 'node:events'
import { connect } from 'node:net'
import { answer, task } from '../job.mjs'
import { PEER_HEADER } from '../peers/envoy.mjs'
import { common } from '../traffic/mixed.mjs'
import { random } from '../traffic/random.mjs'

const DIFFERENT_REQUESTS = 2000
const WARM_UP_SHARE = 0.25

const { port, count, connections, seconds } = task()
const pick = random(count)
const exchanges = Array.from({ length: DIFFERENT_REQUESTS }, exchange)
let end = Number.POSITIVE_INFINITY
let answered = 0
let before = 0

const sockets = await Promise.all(Array.from({ length: connections }, open))
const done = Promise.all(sockets.map(drive))
await Promise.race([done, pause(seconds * WARM_UP_SHARE)])
const began = performance.now()
before = answered
end = began + seconds * 1000
await done
answer({ all: answered, requests: answered - before, seconds: (performance.now() - began) / 1000 })

/** The bytes of a request, and the status that must come back. */
function exchange() {
  const i = pick(Math.max(1, count))
  const hit = pick(2) === 0
  // Without any policy everything is allowed.
  const allowed = count === 0 || (hit && common.allows(i))
  return { bytes: bytesOf(hit ? common.hit(i) : common.miss(i)), status: allowed ? '200' : '403' }
}

function bytesOf({ method, path, host, headers, remoteIp, peer }) {
  const lines = { host, ...headers, 'x-forwarded-for': remoteIp, [PEER_HEADER]: `spiffe://${peer}` }
  if (method !== 'GET' && method !== 'HEAD') lines['content-length'] = '0'
  const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${text.join('')}\r\n`, 'latin1')
}

async function open() {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket.setNoDelay(true)
}

/** Resolves once the time is over and the last answer is there. */
function drive(socket, number) {
  return new Promise((resolve, reject) => {
    let next = Math.floor((number * DIFFERENT_REQUESTS) / connections)
    let text = ''
    const send = () => socket.write(exchanges[next % DIFFERENT_REQUESTS].bytes)
    socket.on('data', (chunk) => {
      text += chunk.latin1Slice()
      const head = text.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0)
      if (text.length < head + 4 + length) return
      const { status, bytes } = exchanges[next++ % DIFFERENT_REQUESTS]
      if (text.slice(9, 12) !== status) {
        socket.destroy(new Error(`${text.slice(9, 12)} came, not ${status}, for ${bytes.latin1Slice()}`))
        return
      }
      text = ''
      answered++
      if (performance.now() < end) return send()
      socket.removeAllListeners('close').destroy()
      resolve()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('Envoy closed the connection')))
    send()
  })
}

function pause(time) {
  return new Promise((resolve) => {
    setTimeout(resolve, time * 1000)
  })
}
