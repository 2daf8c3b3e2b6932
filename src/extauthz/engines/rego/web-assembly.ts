/** The part of JavaScript's `WebAssembly` that is used here: the types of Node 20 leave it out. */
interface WebAssemblyApi {
  compile(bytes: Uint8Array): Promise<WasmModule>
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> }
  readonly Memory: new (size: { readonly initial: number; readonly maximum: number }) => WasmMemory
  readonly Global: new (...args: never[]) => { readonly value: unknown }
  readonly LinkError: new () => Error
  readonly RuntimeError: new () => Error
}

/** A compiled module. */
export type WasmModule = object

export interface WasmMemory {
  /** Another one after each growth. */
  readonly buffer: ArrayBuffer
}

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly
