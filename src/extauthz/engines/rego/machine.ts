import { Buffer } from 'node:buffer'
import { type Builtin, BuiltinError, type Builtins, Halt, type Query } from './builtins/builtin.ts'
import { parseValue, printValue } from './text.ts'
import type { RegoValue } from './value.ts'
import { type WasmMemory, type WasmModule, webAssembly } from './web-assembly.ts'

/** What a policy says for an input. */
export type Outcome =
  /** As JSON says it: sets are lists. */
  | { readonly kind: 'defined'; readonly value: unknown }
  | { readonly kind: 'undefined' }
  /**
   * The evaluation ended without a result: two rules disagree, or (`limit`) it needed more than it may have, such as memory
   * or time in a built-in, which the input can bring about.
   */
  | { readonly kind: 'failed'; readonly message: string; readonly limit?: true }

/** A policy that is ready to be asked. It runs on the caller's thread and cannot be interrupted. */
export interface Machine {
  /** `input` is JSON, or undefined where there is none. */
  evaluate(input: string | undefined, query: Query): Outcome
}

export interface MachineOptions {
  readonly builtins: Builtins
  /** JSON of the document `data`, without what the policy itself says. */
  readonly data: string
  /** The policy's entry point, such as `envoy/authz/allow`. */
  readonly entrypoint: string
  readonly limits?: MachineLimits
}

export interface MachineLimits {
  /** The most that a policy may use, in pages of 64 KiB, its data included; beyond it the evaluation fails. */
  readonly pages: number
  /** Memory never shrinks: one that has grown beyond this many pages more than it began with is given back. */
  readonly keptPages: number
}

const defaultLimits: MachineLimits = { pages: 4096, keptPages: 256 }

export type Making =
  | { readonly kind: 'made'; readonly machine: Machine }
  | { readonly kind: 'failed'; readonly message: string }

/** Instantiates a policy that `opa build -t wasm` made. Never throws. */
export function makeMachine(module: WasmModule, options: MachineOptions): Making {
  try {
    return { kind: 'made', machine: new ReplacedMachine(module, options) }
  } catch (error) {
    return { kind: 'failed', message: describe(error) }
  }
}

/**
 * An evaluation that ends early leaves its instance in the middle of things, and memory never shrinks: such an instance
 * is dropped, and the next evaluation makes another.
 */
class ReplacedMachine implements Machine {
  readonly #module: WasmModule
  readonly #options: MachineOptions
  #instance: Instance | null

  constructor(module: WasmModule, options: MachineOptions) {
    this.#module = module
    this.#options = options
    this.#instance = new Instance(module, options)
  }

  evaluate(input: string | undefined, query: Query): Outcome {
    try {
      const instance = this.#instance ?? new Instance(this.#module, this.#options)
      this.#instance = null
      const outcome = instance.evaluate(input, query)
      if (!instance.isBloated()) this.#instance = instance
      return outcome
    } catch (error) {
      const message = describe(error)
      return isConflict(error) ? { kind: 'failed', message } : { kind: 'failed', message, limit: true }
    }
  }
}

/** Two rules that disagree, as OPA's WebAssembly says it: the only end of an evaluation that OPA's server has too. */
function isConflict(error: unknown): boolean {
  return error instanceof PolicyError && /(?:assignment|insert) conflict$/.test(error.message)
}

/** The policy cannot be run, or its run has ended early. */
class PolicyError extends Error {}

interface Exports {
  opa_malloc(size: number): number
  opa_heap_ptr_get(): number
  opa_heap_ptr_set(address: number): void
  opa_json_dump(value: number): number
  opa_value_dump(value: number): number
  opa_value_parse(address: number, length: number): number
  opa_eval(
    reserved: number,
    entrypoint: number,
    data: number,
    input: number,
    inputLength: number,
    heap: number,
    format: number,
  ): number
  builtins(): number
  entrypoints(): number
}

class Instance {
  readonly #memory: WasmMemory
  readonly #exports: Exports
  readonly #builtins: ReadonlyMap<number, Builtin>
  readonly #entrypoint: number
  readonly #data: number
  /** Where what lasts for one evaluation begins. */
  readonly #heap: number
  readonly #mostPages: number
  #bytes: Buffer
  #query: Query | null = null

  constructor(module: WasmModule, options: MachineOptions) {
    const { limits = defaultLimits } = options
    const { memory, exports } = instantiate(module, limits.pages, (id, args) => this.#call(id, args))
    this.#memory = memory
    this.#exports = exports
    this.#bytes = Buffer.from(memory.buffer)
    const names = this.#json(exports.opa_json_dump(exports.builtins())) as Record<string, number>
    this.#builtins = bind(names, options.builtins)
    this.#entrypoint = find(
      this.#json(exports.opa_json_dump(exports.entrypoints())) as Record<string, number>,
      options.entrypoint,
    )
    this.#data = this.#parse(options.data)
    if (this.#data === 0) throw new PolicyError('the data is no JSON')
    this.#heap = exports.opa_heap_ptr_get()
    this.#mostPages = this.#pages() + limits.keptPages
  }

  evaluate(input: string | undefined, query: Query): Outcome {
    this.#query = query
    const exports = this.#exports
    exports.opa_heap_ptr_set(this.#heap)
    const { address, length } = input === undefined ? nothing : this.#write(input)
    const result = exports.opa_eval(0, this.#entrypoint, this.#data, address, length, exports.opa_heap_ptr_get(), 0)
    this.#query = null
    const [first] = this.#json(result) as { readonly result: unknown }[]
    return first === undefined ? { kind: 'undefined' } : { kind: 'defined', value: first.result }
  }

  isBloated(): boolean {
    return this.#pages() > this.#mostPages
  }

  #pages(): number {
    return this.#memory.buffer.byteLength / 65536
  }

  /** Called by the policy. 0 is Rego's undefined. */
  #call(id: number, args: readonly number[]): number {
    const builtin = this.#builtins.get(id)
    if (builtin === undefined || this.#query === null) throw new PolicyError(`no built-in ${id}`)
    let result: RegoValue | undefined
    try {
      result = builtin(
        args.map((address) => this.#value(address)),
        this.#query,
      )
    } catch (error) {
      if (!(error instanceof BuiltinError)) throw error
    }
    if (result === undefined) return 0
    const address = this.#parse(printValue(result))
    if (address === 0) throw new PolicyError('the result of a built-in could not be read')
    return address
  }

  #value(address: number): RegoValue {
    const parsed = parseValue(this.#read(this.#exports.opa_value_dump(address)))
    if (parsed === null) throw new PolicyError('an argument of a built-in could not be read')
    return parsed.value
  }

  #parse(text: string): number {
    const { address, length } = this.#write(text)
    return this.#exports.opa_value_parse(address, length)
  }

  #json(address: number): unknown {
    return JSON.parse(this.#read(address))
  }

  #write(text: string): { readonly address: number; readonly length: number } {
    const length = Buffer.byteLength(text)
    const address = this.#exports.opa_malloc(length) >>> 0
    this.#view().write(text, address, length, 'utf8')
    return { address, length }
  }

  #read(address: number): string {
    const bytes = this.#view()
    const start = address >>> 0
    const end = bytes.indexOf(0, start)
    if (start === 0 || end === -1) throw new PolicyError('the policy wrote no text')
    return bytes.toString('utf8', start, end)
  }

  /** The memory as it is now: growing it has taken away the bytes that were seen before. */
  #view(): Buffer {
    if (this.#bytes.length === 0 || this.#bytes.buffer !== this.#memory.buffer) {
      this.#bytes = Buffer.from(this.#memory.buffer)
    }
    return this.#bytes
  }
}

const nothing = { address: 0, length: 0 }

type Call = (id: number, args: readonly number[]) => number

function instantiate(module: WasmModule, maximum: number, call: Call) {
  // How much it needs at least stands in the module, where JavaScript cannot see it: it says whether a size will do.
  for (let initial = 2; ; initial = Math.min(initial * 2, maximum)) {
    const memory = new webAssembly.Memory({ initial, maximum })
    try {
      const { exports } = new webAssembly.Instance(module, { env: imports(memory, call) })
      const { opa_wasm_abi_version: major, opa_wasm_abi_minor_version: minor } = exports
      if (versionOf(major) !== 1 || versionOf(minor) < 2) {
        throw new PolicyError('the policy was made by an OPA that is too old: build it with OPA 1.0 or newer')
      }
      return { memory, exports: exports as unknown as Exports }
    } catch (error) {
      if (!(error instanceof webAssembly.LinkError) || initial >= maximum) throw error
    }
  }
}

function imports(memory: WasmMemory, call: Call): Readonly<Record<string, unknown>> {
  return {
    memory,
    opa_abort(address: number) {
      const bytes = Buffer.from(memory.buffer)
      throw new PolicyError(bytes.toString('utf8', address, Math.max(bytes.indexOf(0, address), address)))
    },
    // What a policy prints arrives by a built-in; this is for those who work on the compiler.
    opa_println() {},
    opa_builtin0: (id: number) => call(id, []),
    opa_builtin1: (id: number, _: number, a: number) => call(id, [a]),
    opa_builtin2: (id: number, _: number, a: number, b: number) => call(id, [a, b]),
    opa_builtin3: (id: number, _: number, a: number, b: number, c: number) => call(id, [a, b, c]),
    opa_builtin4: (id: number, _: number, a: number, b: number, c: number, d: number) => call(id, [a, b, c, d]),
  }
}

function versionOf(value: unknown): number {
  return value instanceof webAssembly.Global ? Number(value.value) : 0
}

/** By the number that the policy knows each of its built-ins by. */
function bind(names: Readonly<Record<string, number>>, builtins: Builtins): Map<number, Builtin> {
  const bound = new Map<number, Builtin>()
  const missing: string[] = []
  for (const [name, id] of Object.entries(names)) {
    const builtin = Object.hasOwn(builtins, name) ? builtins[name] : undefined
    if (builtin === undefined) missing.push(name)
    else bound.set(id, builtin)
  }
  if (missing.length === 0) return bound
  const list = missing.sort().join(', ')
  throw new PolicyError(
    `the policy calls ${list}, which this engine does not have: use the engine \`opa\` with a server of OPA`,
  )
}

function find(entrypoints: Readonly<Record<string, number>>, name: string): number {
  const found = Object.hasOwn(entrypoints, name) ? entrypoints[name] : undefined
  if (found !== undefined) return found
  const known = Object.keys(entrypoints).sort().slice(0, 20).join(', ')
  throw new PolicyError(
    `the policy was built without the entry point ${name} (it has ${known}): build it with -e ${name}`,
  )
}

function describe(error: unknown): string {
  if (error instanceof PolicyError || error instanceof Halt) return error.message
  if (error instanceof RangeError) return 'the policy needs more memory or a deeper stack than it may have'
  if (error instanceof webAssembly.RuntimeError) return `the policy trapped: ${error.message}`
  if (error instanceof webAssembly.LinkError) return `the file is no policy of OPA: ${error.message}`
  // The message of any other error may quote what the policy was asked about.
  return `the evaluation failed: ${error instanceof Error ? error.name : typeof error}`
}
