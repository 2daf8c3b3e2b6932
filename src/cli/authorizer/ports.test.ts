import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { Ports, type Taker } from './ports.ts'

const running: (() => unknown)[] = []
after(async () => {
  for (const end of running.reverse()) await end()
})

const address = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const

/** Takes connections in this process, and says which of its receivers got each. */
function taker(): Taker & { readonly given: number[]; connections: number } {
  const given: number[] = []
  return {
    given,
    connections: 0,
    give(receiver, socket) {
      given.push(receiver)
      running.push(() => socket.destroy())
      return true
    },
  }
}

async function opened(ports: Ports, by: Taker, receiver: number, name = 'a'): Promise<number> {
  const opening = await ports.open(by, receiver, name, address, null)
  assert(opening.kind === 'opened')
  return opening.address.port
}

function start(): Ports {
  const ports = new Ports()
  running.push(() => ports.close())
  return ports
}

async function knock(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  running.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

test('whoever has fewest gets the next one, and of equals each in turn', async () => {
  const ports = start()
  const [a, b, c] = [taker(), taker(), taker()]
  const port = await opened(ports, a, 1)
  assert.equal(await opened(ports, b, 1), port, 'one address for all')
  assert.equal(await opened(ports, c, 1), port)
  assert.notEqual(await opened(ports, a, 2, 'another'), port)
  c.connections = 5
  for (let i = 1; i <= 4; i++) {
    await knock(port)
    await until(() => a.given.length + b.given.length === i)
  }
  assert.deepEqual([a.given, b.given, c.given], [[1, 1], [1, 1], []])
})

test('the oldest receiver of a process gets its connections until it is shut', async () => {
  const ports = start()
  const one = taker()
  const port = await opened(ports, one, 1)
  await opened(ports, one, 2)
  await knock(port)
  await until(() => one.given.length === 1)
  ports.shut(one, 1)
  await knock(port)
  await until(() => one.given.length === 2)
  assert.deepEqual(one.given, [1, 2])
})

test('while nobody takes them connections wait, but only so many', async () => {
  const ports = start()
  const first = taker()
  const port = await opened(ports, first, 1)
  ports.forget(first)
  const waiting: Socket[] = []
  for (let i = 0; i < 256; i++) waiting.push(await knock(port))
  const late = await knock(port)
  late.on('error', () => {})
  late.resume()
  await once(late, 'close')
  const next = taker()
  assert.equal(await opened(ports, next, 7), port)
  assert.equal(next.given.length, 256)
  assert(waiting.every((socket) => !socket.destroyed))
})

test('an address that nobody wants closes after a moment, or at once when all is over', async () => {
  const refused = (port: number) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(false)
      })
      socket.once('error', () => resolve(true))
    })
  const ports = start()
  const one = taker()
  const port = await opened(ports, one, 1)
  ports.shut(one, 1)
  assert.equal(await refused(port), false)
  const deadline = performance.now() + 5000
  while (!(await refused(port))) assert(performance.now() < deadline)
  const again = await opened(ports, one, 2)
  ports.drain()
  assert.equal(await refused(again), false, 'it is wanted still')
  ports.shut(one, 2)
  assert.equal(await refused(again), true)
})
