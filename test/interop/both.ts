import assert from 'node:assert/strict'
import type { X509Certificate } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { peerIdentity } from '#src/authn/peer.ts'
import { printWorkloadId } from '#src/authn/spiffe-id.ts'
import { forwardedClientCertificate } from '#src/authn/xfcc.ts'
import { ownAddress } from '#src/cli/up/own-address.ts'
import { ProviderClients } from '#src/cli/up/provider-clients.ts'
import { bootstrap, fileAccessLog, translateWorkload } from '#src/envoy/index.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { acceptedTrustDomains } from '#src/mesh/mesh-config.ts'
import type { PortProtocol } from '#src/mesh/workload.ts'
import type { Logger } from '#src/observe/log.ts'
import { MetricsRegistry } from '#src/observe/metrics.ts'
import type { WorkloadIdentity } from '#src/proxy/config.ts'
import { configure } from '#src/proxy/configure.ts'
import type { DecisionLogEntry } from '#src/proxy/decision-log.ts'
import { createProxy } from '#src/proxy/proxy.ts'
import { parseSource } from '#src/source/parse.ts'
import { startBootstrap } from './envoy.ts'

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

/** The CA of both proxies and of their clients. */
export const authority = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })

/** Where each listens; the port is the one that policies see. */
export const hosts = { envoy: '127.0.0.1', ours: '127.0.0.2' } as const
export type Which = keyof typeof hosts

export interface BothOptions {
  /** The files, for the port that policies see. */
  readonly mesh: (port: number) => string
  /** `namespace/name`. */
  readonly workload: string
  readonly protocol: PortProtocol
  readonly application: number
}

export interface Both {
  readonly port: number
  readonly entries: readonly DecisionLogEntry[]
  /** Envoy's access log, one object a line. */
  readonly log: string
  stop(): Promise<void>
}

/** Real Envoy with the configuration that our translation makes of the files, and our proxy with the same files. */
export async function startBoth(binary: string, options: BothOptions): Promise<Both> {
  const { workload: name, protocol, application } = options
  const port = await freePort()
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', options.mesh(port)).documents)
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  const workload = mesh.workloads.get(name) ?? assert.fail(name)
  const own = authority.issue(workload)
  const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const files = {
    certificate: file('cert.pem', own.chain),
    key: file('key.pem', own.key),
    ca: file('ca.pem', authority.root),
  }
  const log = join(folder, 'access.log')
  const format = {
    json_format: {
      path: '%REQ(:PATH)%',
      code: '%RESPONSE_CODE%',
      flags: '%RESPONSE_FLAGS%',
      details: '%RESPONSE_CODE_DETAILS%',
      close: '%CONNECTION_TERMINATION_DETAILS%',
    },
  }
  const place = { kind: 'tcp', host: '127.0.0.1', port: application } as const
  const translated = translateWorkload(mesh, workload, {
    placement: {
      kind: 'ports',
      ports: [{ port, protocol, listen: { host: hosts.envoy, port }, application: place }],
    },
    ...{ rbac: { kind: 'rules' }, certificates: () => files, accessLog: [fileAccessLog(log, format)], prefix: '' },
    ...{ service: null, jwks: { byIssuer: new Map(), nobody: '', ca: '' } },
  })
  const config = bootstrap([translated], { id: 'test', cluster: 'test', admin: { host: '127.0.0.1', port: 0 } })
  const envoy = await startBootstrap(binary, config, join(folder, 'admin'), folder)

  const id = printWorkloadId({ ...workload, trustDomain: mesh.config.trustDomain })
  const trusted = acceptedTrustDomains(mesh.config)
  const identity: WorkloadIdentity = {
    ...{ id, certificate: own.chain, key: own.key, ca: [authority.root] },
    identifyPeer: (peer: X509Certificate) => peerIdentity(peer, trusted, Date.now()),
    forwardedClientCert: (peer: X509Certificate) => forwardedClientCertificate(id, peer),
  }
  const clients = new ProviderClients({
    mesh: () => mesh,
    identity: () => identity,
    logger: silent,
    health: null,
    metrics: new MetricsRegistry(),
  })
  const ingress = { origin: null, port, protocol, listen: { host: hosts.ours, port }, application: place }
  const entries: DecisionLogEntry[] = []
  const proxy = createProxy(
    configure({
      mesh,
      local: [{ workload, outbound: [], inbound: [ingress] }],
      identity: () => identity,
      keys: createOfflineKeySource(),
      ownAddress: ownAddress(networkInterfaces()),
      client: (provider) => clients.get(provider, workload, mesh, identity),
    }),
    {
      log: { level: 'error', debug() {}, info() {}, warn() {}, error() {} },
      metrics: new MetricsRegistry(),
      decisions: (entry) => entries.push(entry),
    },
  )
  const stop = async () => {
    await proxy.close(0)
    await clients.close()
    await envoy.stop()
  }
  const started = await proxy.start()
  if (started.kind === 'applied') return { port, entries, log, stop }
  await stop()
  throw new Error(JSON.stringify(started.errors))
}

/** Nobody listens on it at either address at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : assert.fail()
}
