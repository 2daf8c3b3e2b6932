/** The library is 4 MB of WebAssembly, and most processes have no use for it. */
export async function loadCedar(): Promise<Cedar> {
  const module = (await import('@cedar-policy/cedar-wasm/nodejs')) as Cedar & { readonly default?: Cedar }
  return module.default ?? module
}

export type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')
