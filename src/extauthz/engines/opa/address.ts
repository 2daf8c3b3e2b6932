/** Where a server of OPA is. */
export interface OpaAddress {
  /** Such as `http://127.0.0.1:8181`. */
  readonly origin: string
  /** Path of a unix socket to connect to instead of the origin's host. */
  readonly socketPath: string | null
  /** What stands before `/v1/data`, without a slash at its end. */
  readonly prefix: string
}

/** Reads `http://HOST:PORT`, `https://HOST`, either with a path, or `unix:/path/of/the.sock`; null for anything else. */
export function parseOpaUrl(text: string): OpaAddress | null {
  if (text.startsWith('unix:')) {
    const socketPath = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    return socketPath.startsWith('/') ? { origin: 'http://localhost', socketPath, prefix: '' } : null
  }
  if (!URL.canParse(text)) return null
  const { protocol, origin, pathname, search, hash, username, password } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') return null
  if (`${search}${hash}${username}${password}` !== '') return null
  return { origin, socketPath: null, prefix: pathname.replace(/\/+$/, '') }
}
