import { MOST_BODY } from './mesh.mjs'

const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS']
const PEOPLE = [
  { sub: 'ann', tenants: ['a', 'b'] },
  { sub: 'mallory', tenants: ['m', 'a'] },
  { sub: 'eve', tenants: [] },
]

/** Spellings of paths, and the path that policies see. */
const SPELLINGS = [
  (path) => [path, path],
  (path) => [path, path],
  (path) => [`/x/..${path}`, path],
  (path) => [`/./${path.slice(1)}`, path],
  (path) => [path.replace(/o/, '%6f'), path],
  (path) => [`${path}?next=/open/`, path],
  (path) => [`http://soak.example${path}`, path],
]

/** A random request to one of the workloads, as `answersTo` takes it, with `target` as it is to be sent. */
export function randomRequest(random, tokens) {
  return random.weighted([
    [5, () => toPool(random, tokens)],
    [3, () => toGate(random)],
    [4, () => toOrders(random, tokens)],
  ])
}

/** A request without a body to a path of the workload `pool`. */
export function plainRequest(path, headers = {}) {
  return { to: 'pool', method: 'GET', path, target: path, headers, body: '', token: null, grpc: false }
}

function toPool(random, tokens) {
  const start = random.pick(['checked', 'checked', 'checked', 'open', 'forbidden', 'sometimes', 'token', 'elsewhere'])
  const [target, path] = random.pick(SPELLINGS)(`/${start}/${random.int(100)}/foo`)
  const headers = {}
  if (start === 'checked' && random.chance(0.8)) {
    headers['x-decide'] = random.pick(['allow', 'allow', 'rewrite', 'empty', 'no', 'ALLOW'])
    headers['x-secret'] = 'mine'
  }
  const token = random.chance(start === 'token' ? 0.8 : 0.1) ? randomToken(random, tokens) : null
  const method = random.pick(METHODS)
  // Bodies are bytes as Latin-1.
  const body = ['POST', 'PUT'].includes(method) ? 'b'.repeat(random.pick([0, 1, 500, 5000, 70_000])) : ''
  const grpc = method === 'POST' && random.chance(0.2)
  if (grpc) headers['content-type'] = random.pick(['application/grpc', 'application/grpc+proto'])
  return { to: 'pool', method, path, target, headers, body, token, grpc }
}

function toGate(random) {
  const path = random.pick(['/g/1', '/g/2/3', '/elsewhere'])
  const user = random.pick(['alice', 'alice', 'bob', 'carol', null])
  const headers = user === null ? {} : { 'x-user': user }
  const method = random.pick(['GET', 'POST', 'POST', 'PUT'])
  const body = method === 'GET' ? '' : random.pick(['', 'good', 'so evil', 'x'.repeat(MOST_BODY), 'x'.repeat(3000)])
  return { to: 'gate', method, path, target: path, headers, body, token: null, grpc: false }
}

function toOrders(random, tokens) {
  const path = random.pick(['/orders', '/orders/7', '/orders/7', '/health', '/other'])
  const tenant = random.pick(['a', 'a', 'b', 'c', 'm'])
  const headers = { 'x-device': random.pick(['phone-1', 'phone-2', 'phone-13']) }
  const token = random.chance(0.9) ? randomToken(random, tokens) : null
  const more = random.chance(0.5) ? `&page=${random.int(1000)}` : ''
  const target = `${path}?tenant=${tenant}${more}`
  return { to: 'orders', method: 'GET', path, target, headers, body: '', token, tenant, grpc: false }
}

function randomToken(random, tokens) {
  const state = random.pick(['good', 'good', 'good', 'good', 'expired', 'forged'])
  const claims = { ...random.pick(PEOPLE), n: random.int(40) }
  return tokens.make(state, claims)
}
