import { type ListenAddress, parseListenAddress } from '../../mesh/listen-address.ts'

/** Where a server listens. */
export interface Address {
  /** Empty for a unix socket. */
  readonly host: string
  /** 0 for a unix socket. */
  readonly port: number
  /** The file of a unix socket; absent for TCP. */
  readonly path?: string
}

/** Throws TypeError on what is no address, with what to write. */
export function readListenAddress(text: string): ListenAddress {
  const parsed = parseListenAddress(text)
  if (parsed.kind === 'invalid') throw new TypeError(`listen: '${text}' is no address; ${parsed.help}`)
  return parsed
}

/** `host:port`, `[v6]:port` or `unix:/path`. */
export function printAddress({ host, port, path }: Address): string {
  if (path !== undefined) return `unix:${path}`
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
