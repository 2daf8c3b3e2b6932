import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { buildCertificate } from '#src/authn/x509/certificate.ts'
import { type Claims, signedToken } from './token.ts'

/** A certificate authority made for one test. All PEM. */
export interface TestAuthority {
  readonly root: string
  server(name: string): { readonly cert: string; readonly key: string }
}

export function createTestAuthority(): TestAuthority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { commonName: 'test root' }
  const valid = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 }
  const root = buildCertificate(
    {
      ...{ subject: issuer, issuer, ...valid },
      ...{ publicKey: own.publicKey, issuerPublicKey: own.publicKey, usage: { kind: 'authority' } },
    },
    own.privateKey,
  )
  return {
    root,
    server(name) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const cert = buildCertificate(
        {
          ...{ subject: { commonName: name }, issuer, ...valid, publicKey, issuerPublicKey: own.publicKey },
          usage: { kind: 'workload', names: [{ kind: 'dns', name }] },
        },
        own.privateKey,
      )
      return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
    },
  }
}

/** An issuer of tokens that publishes its key over HTTPS. */
export interface Issuer {
  readonly port: number
  /** What was fetched: `SERVER-NAME HOST PATH`. */
  readonly fetched: readonly string[]
  token(claims: Claims): string
  close(): void
}

export async function startIssuer(name: string, path: string, authority: TestAuthority): Promise<Issuer> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = 'key-1'
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' }] })
  const fetched: string[] = []
  const server: Server = createServer(authority.server(name), (request, response) => {
    fetched.push(`${(request.socket as TLSSocket).servername} ${request.headers.host} ${request.url}`)
    response.writeHead(request.url === path ? 200 : 404, { 'content-type': 'application/json' })
    response.end(jwks)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    fetched,
    token: (claims) => signedToken(claims, privateKey, kid),
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** A key that no issuer published. */
export function foreignKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}
