import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import type { CheckClient, CheckOutcome, CheckRequest } from '../extauthz/check.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Logger } from '../observe/log.ts'
import { MetricsRegistry } from '../observe/metrics.ts'
import type { Decider } from '../policy/decider.ts'
import type { Policies } from './chain.ts'
import type { InboundConfig, ProxyConfig, WorkloadIdentity } from './config.ts'
import type { DecisionLogEntry } from './decision-log.ts'
import type { ProxyServer } from './proxy.ts'
import { createProxy } from './proxy.ts'

// The library's injector demands reflection for decorators that it does not use here.
Object.assign(Reflect, { getMetadata() {}, getOwnMetadata() {}, defineMetadata() {} })
const x509 = await import('@peculiar/x509')
x509.cryptoProvider.set(webcrypto as never)

type RootCertificate = Awaited<ReturnType<typeof x509.X509CertificateGenerator.create>>

export const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

export const allowAll: Decider = {
  custom: () => ({ kind: 'pass' }),
  decide: () => ({ kind: 'allow', policy: null }),
  audit: () => false,
  dryRun: () => null,
}

export function policies(change: Partial<Decider> = {}, rest: Partial<Policies> = {}): Policies {
  return { decider: { ...allowAll, ...change }, authenticator: null, providers: new Map(), ...rest }
}

export const provider: Provider = {
  kind: 'grpc',
  name: 'opa',
  service: 'opa.local',
  port: 9191,
  timeout: 1000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

/** Policies that ask one provider about everything. */
export function asking(
  check: (request: CheckRequest, signal: AbortSignal) => CheckOutcome | Promise<CheckOutcome>,
  change: Partial<Provider> = {},
  decider: Partial<Decider> = {},
): Policies {
  const asked = { ...provider, ...change } as Provider
  const client: CheckClient = { check: async (request, signal) => check(request, signal), close: async () => {} }
  return policies(
    {
      custom: () => ({ kind: 'ask', provider: asked, policy: 'istio-ext-authz-opa-ns[foo]-policy[p]-rule[0]' }),
      ...decider,
    },
    { providers: new Map([[asked.name, client]]) },
  )
}

export const allowed: CheckOutcome = { kind: 'allow', changes: [], responseChanges: [] }

/** An application on a free port; closed with the test. */
export async function startApplication(
  t: TestContext,
  handler: http.RequestListener,
): Promise<{ server: http.Server; port: number }> {
  const server = http.createServer({ maxHeaderSize: 128 * 1024 }, handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, port: (server.address() as net.AddressInfo).port }
}

/** Answers with what it got, as JSON. */
export const echo: http.RequestListener = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, rawHeaders } = request
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString('latin1') }))
  })
}

export function inbound(applicationPort: number, change: Partial<InboundConfig> = {}): InboundConfig {
  return {
    id: 'inbound',
    workload: 'foo/httpbin',
    listen: { host: '127.0.0.1', port: 0 },
    protocol: 'http',
    port: 8000,
    application: { kind: 'tcp', host: '127.0.0.1', port: applicationPort },
    mtls: { mode: 'DISABLE' },
    edge: null,
    pathMode: 'BASE',
    policies: policies(),
    ...change,
  }
}

export interface Running {
  readonly proxy: ProxyServer
  readonly entries: DecisionLogEntry[]
  readonly metrics: MetricsRegistry
  port(id?: string): number
  /** Resolves when so many entries are in the decision log. */
  logged(count: number): Promise<DecisionLogEntry[]>
}

/** A proxy that runs until the test ends. */
export async function startProxy(t: TestContext, config: Partial<ProxyConfig>): Promise<Running> {
  const entries: DecisionLogEntry[] = []
  const metrics = new MetricsRegistry()
  let wake = () => {}
  const proxy = createProxy(
    { inbound: [], outbound: [], ...config },
    {
      log: silent,
      metrics,
      decisions: (entry) => {
        entries.push(entry)
        wake()
      },
    },
  )
  const result = await proxy.start()
  if (result.kind !== 'applied') throw new Error(JSON.stringify(result.errors))
  t.after(() => proxy.close(0))
  return {
    proxy,
    entries,
    metrics,
    port(id = 'inbound') {
      const address = proxy.addresses().get(id)
      if (address === undefined) throw new Error(`no listener ${id}`)
      return address.port
    },
    async logged(count) {
      while (entries.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return entries
    },
  }
}

export function deferred(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve: () => resolve() }
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly rawHeaders: string[]
  readonly trailers: NodeJS.Dict<string>
  readonly body: string
}

/** One request on a connection of its own. */
export function ask(port: number, options: http.RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options
    const request = http.request({ host: '127.0.0.1', port, agent: false, ...rest }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          trailers: response.trailers,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Sends bytes and returns all that comes back until the peer closes. `end` half-closes behind the bytes. */
export function raw(port: number, bytes: string | Buffer, end = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.setTimeout(10_000, () => socket.destroy(new Error(`no end to the answer to ${String(bytes).slice(0, 80)}`)))
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => {
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(Buffer.concat(chunks).toString('latin1'))
      else reject(error)
    })
    if (end) socket.end(bytes, 'latin1')
    else socket.write(bytes, 'latin1')
  })
}

/** A certificate authority for one test. */
export class TestCa {
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #root: RootCertificate
  readonly pem: string

  private constructor(keys: webcrypto.CryptoKeyPair, root: RootCertificate) {
    this.#keys = keys
    this.#root = root
    this.pem = root.toString('pem')
  }

  static async create(): Promise<TestCa> {
    const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'O=test',
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      keys: keys,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    })
    return new TestCa(keys, root)
  }

  async identity(id: string, notAfter = new Date(Date.now() + 3_600_000)): Promise<WorkloadIdentity> {
    const { certificate, key } = await this.#issue([{ type: 'url', value: id }], notAfter)
    return {
      id,
      certificate,
      key,
      ca: [this.pem],
      identifyPeer: (certificate) => {
        const uri = /^URI:(\S+)$/.exec(certificate.subjectAltName ?? '')?.[1]
        if (uri === undefined) return { kind: 'refused', cause: 'no_uri_name', reason: 'no URI' }
        return uri.startsWith('spiffe://cluster.local/')
          ? { kind: 'peer', id: uri }
          : { kind: 'refused', cause: 'foreign_trust_domain', reason: 'foreign trust domain' }
      },
      forwardedClientCert: (certificate) => `By=${id};${certificate.subjectAltName?.replace('URI:', 'URI=')}`,
    }
  }

  /** A certificate with DNS names, as servers outside of a mesh have them. */
  server(names: readonly string[]): Promise<{ readonly certificate: string; readonly key: string }> {
    return this.#issue(
      names.map((value) => ({ type: 'dns', value })),
      new Date(Date.now() + 3_600_000),
    )
  }

  async #issue(names: { readonly type: 'url' | 'dns'; readonly value: string }[], notAfter: Date) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: String(Math.floor(Math.random() * 1e9) + 2),
      issuer: this.#root.subject,
      notBefore: new Date(Date.now() - 60_000),
      notAfter,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      publicKey: await webcrypto.subtle.importKey('spki', spki, EC, true, ['verify']),
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    })
    return {
      certificate: leaf.toString('pem'),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }
}

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const
