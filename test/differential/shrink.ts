import { Batch, type World } from './batch.ts'
import { type Difference, differences } from './compare.ts'
import type { EngineName } from './engine.ts'
import { loadSpec } from './mesh-file.ts'
import type { Case, Json } from './spec.ts'

/** A case on which engines disagree, as small as it could be made. */
export interface Shrunk {
  readonly one: Case
  readonly difference: Difference
}

/** So many smaller cases are tried at once. */
const WIDTH = 48

/** Whether the case shows a difference when it is run alone, and which. */
export async function differenceOf(
  world: World,
  engines: ReadonlySet<EngineName>,
  one: Case,
): Promise<Difference | null> {
  return (await runAll(world, engines, [one]))[0] ?? null
}

/** The first difference of each case, null where there is none. */
async function runAll(
  world: World,
  engines: ReadonlySet<EngineName>,
  cases: readonly Case[],
): Promise<readonly (Difference | null)[]> {
  const found: (Difference | null)[] = cases.map(() => null)
  const istio = world.istio !== null && engines.has('istio')
  const batch = await Batch.open(
    world,
    cases.map(({ mesh, request }) => ({ spec: mesh, requests: [request], istio })),
    engines,
    0,
  )
  try {
    await batch.run((index, _request, outcomes) => {
      const one = cases[index] as Case
      found[index] = differences(one, outcomes, () => {})[0] ?? null
    })
  } finally {
    await batch.close()
  }
  return found
}

/** Makes the case smaller as long as the same engine differs in the same field, until the time (milliseconds) is up. */
export async function shrink(
  world: World,
  engines: ReadonlySet<EngineName>,
  start: Case,
  difference: Difference,
  time: number,
): Promise<Shrunk> {
  const until = performance.now() + time
  let best: Shrunk = { one: start, difference }
  let from = 0
  let improved = false
  while (performance.now() < until) {
    const place = { ...world, address: '127.0.0.1' }
    const candidates = [...smaller(best.one)].filter((one) => isMesh(one, place))
    if (from >= candidates.length) {
      if (!improved) break
      improved = false
      from = 0
      continue
    }
    const some = candidates.slice(from, from + WIDTH)
    const results = await runAll(world, engines, some)
    const better = results.findIndex((one) => one?.engine === difference.engine && one.field === difference.field)
    if (better === -1) {
      from += WIDTH
      continue
    }
    best = { one: some[better] as Case, difference: results[better] as Difference }
    improved = true
    // What could not be left out before can seldom be left out now, and is tried again at the end.
    from += better
  }
  return best
}

function isMesh({ mesh }: Case, place: Parameters<typeof loadSpec>[1]): boolean {
  try {
    loadSpec(mesh, place)
    return true
  } catch {
    return false
  }
}

/** Cases with one thing less, the largest things first. */
function* smaller({ mesh, request }: Case): Generator<Case> {
  for (let i = mesh.documents.length - 1; i >= 0; i--) {
    yield { mesh: { ...mesh, documents: mesh.documents.filter((_, j) => j !== i) }, request }
  }
  const { http, source } = request
  if (source.certificate !== null)
    yield { mesh, request: { ...request, source: { ...source, certificate: null, sni: '', alpn: [] } } }
  if (source.sni !== '') yield { mesh, request: { ...request, source: { ...source, sni: '' } } }
  if (source.ip !== '127.0.0.1') yield { mesh, request: { ...request, source: { ...source, ip: '127.0.0.1' } } }
  if (request.port !== 'main') yield { mesh, request: { ...request, port: 'main' } }
  if (http !== null && http.raw === null) {
    for (const i of http.headers.keys())
      yield { mesh, request: { ...request, http: { ...http, headers: http.headers.filter((_, j) => j !== i) } } }
    if (http.body.kind !== 'none') yield { mesh, request: { ...request, http: { ...http, body: { kind: 'none' } } } }
    for (const target of ['/', '/a'])
      if (http.target.length > target.length) yield { mesh, request: { ...request, http: { ...http, target } } }
    if (http.method !== 'GET') yield { mesh, request: { ...request, http: { ...http, method: 'GET' } } }
    if (http.hosts.length !== 1 || http.hosts[0] !== 'x')
      yield { mesh, request: { ...request, http: { ...http, hosts: ['x'] } } }
  }
  for (const [i, document] of mesh.documents.entries()) {
    for (const less of without(document, [])) {
      yield { mesh: { ...mesh, documents: mesh.documents.map((one, j) => (i === j ? less : one)) }, request }
    }
  }
  for (const [i, token] of request.tokens.entries()) {
    for (const part of ['claims', 'header'] as const) {
      for (const less of without(parsed(token[part]), [])) {
        const changed = { ...token, [part]: JSON.stringify(less) }
        yield { mesh, request: { ...request, tokens: request.tokens.map((one, j) => (i === j ? changed : one)) } }
      }
    }
  }
  if (request.script !== null) {
    for (const less of without(request.script.answer as unknown as Json, [])) {
      const script = { ...request.script, answer: less } as unknown as typeof request.script
      yield { mesh, request: { ...request, script } }
    }
  }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What says what a thing is stays. */
const KEPT = new Set(['kind', 'apiVersion', 'metadata', 'name', 'data', 'spec'])

/** The value without one of its parts, at every depth; outer parts first. */
function* without(value: Json, path: readonly string[]): Generator<Json> {
  if (value === null || typeof value !== 'object') return
  if (Array.isArray(value)) {
    const list = value as readonly Json[]
    if (list.length > 0 && path.length < 12) for (const i of list.keys()) yield list.filter((_, j) => j !== i)
    for (const [i, item] of list.entries()) {
      for (const less of without(item, [...path, String(i)])) yield list.map((one, j) => (i === j ? less : one))
    }
    return
  }
  const fields = value as { readonly [name: string]: Json }
  for (const name of Object.keys(fields)) {
    if (KEPT.has(name)) continue
    const { [name]: _gone, ...rest } = fields
    yield rest
  }
  for (const [name, item] of Object.entries(fields)) {
    for (const less of without(item, [...path, name])) yield { ...fields, [name]: less }
  }
}
