/** Where a server listens: a TCP address, or the file of a unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** Absolute. */
  | { readonly kind: 'unix'; readonly path: string }

export type ParsedListenAddress = ListenAddress | { readonly kind: 'invalid'; readonly help: string }

/** The longest path that every system takes (104 bytes on the BSDs), less what a temporary name beside it needs. */
const MOST_PATH_BYTES = 90

/**
 * `host:port`, `[v6]:port` or `unix:/path`. A port alone is none of them: it would listen on every interface unasked.
 */
export function parseListenAddress(text: string): ParsedListenAddress {
  const invalid = (help: string) => ({ kind: 'invalid', help }) as const
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0')) {
      return invalid('write the whole path of the socket: `unix:/run/authorizer.sock`')
    }
    return new TextEncoder().encode(path).length > MOST_PATH_BYTES
      ? invalid(`take a path of at most ${MOST_PATH_BYTES} bytes: systems take no longer one for a socket`)
      : { kind: 'unix', path }
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535) return invalid('write HOST:PORT or unix:PATH: `127.0.0.1:9191`')
  return { kind: 'tcp', host: (match[1] ?? match[2]) as string, port }
}
