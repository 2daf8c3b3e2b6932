import type { AddressInfo, Server } from 'node:net'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port` or `[v6]:port`. Null when it is neither: a port alone would listen on every interface unasked. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return null
  const port = Number(match[3])
  return port > 65535 ? null : { host: (match[1] ?? match[2]) as string, port }
}

/** Resolves with where the server listens, which tells the port when 0 was asked for; rejects when it cannot. */
export function listenOn(server: Server, host: string, port: number): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.removeListener('error', reject)
      const { address, port } = server.address() as AddressInfo
      resolve({ host: address, port })
    })
  })
}
