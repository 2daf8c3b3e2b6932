import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { envoyProblems, type Resources } from '#src/envoy/index.ts'
import type { Outcomes } from './compare.ts'
import type { Engine, EngineName, PreparedMesh, Refusal } from './engine.ts'
import { bootstrapOf, EnvoyEngine, envoyResources, withFilters } from './envoy-engine.ts'
import { EnvoyProcess } from './envoy-process.ts'
import { ExplainEngine } from './explain-engine.ts'
import type { Place } from './fill.ts'
import type { IstioCompiler } from './istio-compiler.ts'
import { type LoadedSpec, loadSpec } from './mesh-file.ts'
import type { Outcome } from './outcome.ts'
import { ProxyEngine } from './proxy-engine.ts'
import type { Backends, Slot } from './slot.ts'
import type { MeshSpec, RequestSpec } from './spec.ts'

/** What all batches of a run share. */
export interface World extends Omit<Place, 'address'> {
  readonly backends: Backends
  /** For configurations; removed with the run. */
  readonly folder: string
  /** Null: no Envoy engines. */
  readonly envoy: string | null
  readonly istio: IstioCompiler | null
}

export interface MeshCases {
  readonly spec: MeshSpec
  readonly requests: readonly RequestSpec[]
  /** Whether Istio's own compiler takes part. */
  readonly istio: boolean
}

/** Meshes that run at once; their requests follow each other. */
const AT_ONCE = 64

/** The second part of the engines' addresses: 127.X.y.z. */
const networks: { readonly [name in EngineName]: number } = {
  interpret: 16,
  compile: 17,
  proxy: 18,
  rules: 19,
  matcher: 20,
  istio: 21,
}

/** Many meshes, each in its place in every engine, with one Envoy for all. */
export class Batch {
  readonly #world: World
  readonly #cases: readonly MeshCases[]
  readonly #engines: Engine[] = []
  readonly #meshes = new Map<EngineName, ReadonlyMap<number, PreparedMesh>>()
  readonly #slots: Slot[] = []
  readonly #leftOut: Refusal[] = []
  /** Meshes that Envoy will not have although nobody said so before. */
  readonly refusals: Refusal[] = []
  /** Where our filters are not Istio's own. */
  readonly filterDifferences: { readonly index: number; readonly message: string }[] = []
  #envoy: EnvoyProcess | null = null

  private constructor(world: World, cases: readonly MeshCases[]) {
    this.#world = world
    this.#cases = cases
  }

  /** `half` is 0 or 1: two batches may be open at once. */
  static async open(
    world: World,
    cases: readonly MeshCases[],
    engines: ReadonlySet<EngineName>,
    half: number,
  ): Promise<Batch> {
    const batch = new Batch(world, cases)
    try {
      await batch.#open(engines, half)
      return batch
    } catch (error) {
      await batch.close()
      throw error
    }
  }

  /** Runs every case; `done` hears the outcomes of each. */
  async run(done: (mesh: number, request: number, outcomes: Outcomes) => void | Promise<void>): Promise<void> {
    const queue = this.#cases.entries()
    const work = async () => {
      for (const [index, { requests }] of queue) {
        for (const [i, request] of requests.entries()) await done(index, i, await this.#outcomes(index, request))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  async close(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close()))
    await this.#envoy?.stop()
    for (const slot of this.#slots) this.#world.backends.close(slot)
  }

  async #outcomes(index: number, request: RequestSpec): Promise<Outcomes> {
    const outcomes = new Map<EngineName, Outcome>()
    await Promise.all(
      this.#engines.map(async (engine) => {
        const mesh = this.#meshes.get(engine.name)?.get(index)
        const outcome = mesh === undefined ? null : await engine.run(mesh, request)
        if (outcome !== null) outcomes.set(engine.name, outcome)
      }),
    )
    return outcomes
  }

  async #open(engines: ReadonlySet<EngineName>, half: number): Promise<void> {
    const world = this.#world
    const envoys: { name: EngineName; meshes: PreparedMesh[] }[] = []
    const parts: { index: number; engine: EngineName; resources: Resources }[] = []
    for (const name of engines) {
      const meshes = await this.#place(name, half)
      switch (name) {
        case 'interpret':
        case 'compile':
          this.#engines.push(new ExplainEngine(name, world, meshes))
          break
        case 'proxy':
          this.#engines.push(await ProxyEngine.start(world, meshes))
          break
        case 'rules':
        case 'matcher':
        case 'istio':
          for (const mesh of meshes) parts.push(...(await this.#resources(name, mesh)))
          envoys.push({ name, meshes })
          break
        default:
          name satisfies never
      }
    }
    if (world.envoy === null || parts.length === 0) return
    this.#envoy = await this.#start(world.envoy, parts, half)
    for (const { name, meshes } of envoys) {
      const refused = new Set(this.#leftOut.filter(({ engine }) => engine === name).map(({ index }) => index))
      const there = new Map(meshes.filter(({ index }) => !refused.has(index)).map((mesh) => [mesh.index, mesh]))
      this.#meshes.set(name, there)
      this.#engines.push(new EnvoyEngine(name, world, this.#envoy, [...there.values()]))
    }
  }

  async #place(name: EngineName, half: number): Promise<PreparedMesh[]> {
    const meshes: PreparedMesh[] = []
    for (const [index, { spec, istio }] of this.#cases.entries()) {
      if (name === 'istio' && !istio) continue
      const number = half * 16_000 + index + 1
      const address = `127.${networks[name]}.${number >> 8}.${number & 255}`
      const sockets = name !== 'interpret' && name !== 'compile'
      const slot = await this.#world.backends.open(address, sockets ? spec.protocol : null, hasProviders(spec))
      this.#slots.push(slot)
      meshes.push({ index, spec, slot })
    }
    this.#meshes.set(name, new Map(meshes.map((mesh) => [mesh.index, mesh])))
    return meshes
  }

  async #resources(name: EngineName, mesh: PreparedMesh) {
    const world = this.#world
    const loaded = loadSpec(mesh.spec, { ...world, address: mesh.slot.address })
    try {
      const ours = await envoyResources(loaded, mesh, world, name === 'matcher' ? 'matcher' : 'rules', name)
      if (name !== 'istio') return [{ index: mesh.index, engine: name, resources: ours }]
      return [{ index: mesh.index, engine: name, resources: await this.#istio(loaded, mesh, ours) }]
    } catch (error) {
      this.#leaveOut({ index: mesh.index, engine: name, message: String(error) })
      return []
    }
  }

  async #istio(loaded: LoadedSpec, { index, spec }: PreparedMesh, ours: Resources): Promise<Resources> {
    const compiler = this.#world.istio
    if (compiler === null) throw new Error("Istio's compiler is not there")
    const { filters, difference } = await compiler.compile(loaded, spec, `istio-${index}-`)
    if (difference !== null) this.filterDifferences.push({ index, message: difference })
    return withFilters(ours, filters)
  }

  #leaveOut(refusal: Refusal): void {
    this.#leftOut.push(refusal)
    const { spec } = this.#cases[refusal.index] as MeshCases
    const { mesh, workload, service } = loadSpec(spec, { ...this.#world, address: '127.0.0.1' })
    const jwks = { byIssuer: new Map<string, string>(), nobody: '', ca: '' }
    const told = envoyProblems(mesh, workload, { placement: { kind: 'ports', ports: [] }, jwks, service })
    if (told.length === 0) this.refusals.push(refusal)
  }

  /** Where Envoy will not have all of them, each is tried alone and the bad ones are left out. */
  async #start(
    binary: string,
    parts: readonly { index: number; engine: EngineName; resources: Resources }[],
    half: number,
  ): Promise<EnvoyProcess> {
    const { folder } = this.#world
    const config = (some: typeof parts) => bootstrapOf(some.map(({ resources }) => resources))
    try {
      return await EnvoyProcess.start(binary, folder, `envoy-${half}`, config(parts))
    } catch {
      const good: (typeof parts)[number][] = []
      for (const part of parts) {
        const message = await validate(binary, join(folder, `validate-${half}.json`), config([part]))
        if (message === null) good.push(part)
        else this.#leaveOut({ index: part.index, engine: part.engine, message })
      }
      return EnvoyProcess.start(binary, folder, `envoy-${half}`, config(good))
    }
  }
}

function hasProviders({ documents }: MeshSpec): boolean {
  return JSON.stringify(documents).includes('extensionProviders')
}

/** Null, or what Envoy says of the configuration. */
function validate(binary: string, file: string, config: object): Promise<string | null> {
  writeFileSync(file, JSON.stringify(config))
  return new Promise((resolve, reject) => {
    const child = spawn(binary, ['--mode', 'validate', '-c', file, '--log-level', 'error'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let talk = ''
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      talk = (talk + chunk).slice(-2000)
    })
    child.once('error', reject)
    child.once('close', (code) => {
      rmSync(file, { force: true })
      resolve(code === 0 ? null : talk)
    })
  })
}
