import { mtlsModeFor, sidecarFor } from './attach.ts'
import type { ClientTlsSettings } from './destination-rule.ts'
import { type DestinationClient, destinationSettings } from './destination-settings.ts'
import { labelOf } from './labels.ts'
import type { Mesh } from './mesh.ts'
import type { FoundService, ServiceEndpoint } from './registry.ts'

/** What a client speaks to an endpoint. */
export type EndpointTls =
  | { readonly kind: 'plaintext' }
  | MutualTls
  | OriginatedTls
  /** It must not be called at all: what the files demand is not to be had. */
  | { readonly kind: 'unusable'; readonly reason: string }

/** Istio's mutual TLS: the client's own certificate, and a server that the mesh's CA vouches for. */
export interface MutualTls {
  readonly kind: 'istioMutual'
  /** Istio's `outbound_.PORT_._.HOST`, or what a DestinationRule says. */
  readonly serverName: string
  /** SPIFFE ids that the server may have. Empty: any of the mesh's trust domains, as in Istio. */
  readonly expectedIds: readonly string[]
  /** A DestinationRule's own: then one of these names, and not an id, is what the server must have. */
  readonly subjectAltNames: readonly string[]
}

/** TLS as a DestinationRule describes it. Paths are of PEM files. */
export interface OriginatedTls {
  readonly kind: 'originated'
  readonly serverName: string
  /** One of these must be in the server's certificate; empty where it is not verified at all. */
  readonly subjectAltNames: readonly string[]
  /** Empty: the platform's roots. */
  readonly caCertificates: string
  readonly caCrl: string
  /** Null: the client shows no certificate. */
  readonly client: { readonly certificate: string; readonly key: string } | null
  readonly insecureSkipVerify: boolean
}

const PLAINTEXT: EndpointTls = { kind: 'plaintext' }

/** How `client` reaches an endpoint of a service's port: by a DestinationRule, else by what the endpoint can take. */
export function endpointTls(
  mesh: Mesh,
  client: DestinationClient,
  service: FoundService,
  port: number,
  endpoint: ServiceEndpoint,
): EndpointTls {
  const { tls } = destinationSettings(mesh, client, `${service.namespace}/${service.host}`, port)
  if (tls !== null) return bySettings(mesh, service, port, endpoint, tls)
  if (service.external || !mesh.config.autoMtls || !takesMutualTls(mesh, endpoint)) return PLAINTEXT
  const expectedIds = idsOf(mesh, service, endpoint)
  return { kind: 'istioMutual', serverName: serverName(service, port), expectedIds, subjectAltNames: [] }
}

function bySettings(
  mesh: Mesh,
  service: FoundService,
  port: number,
  endpoint: ServiceEndpoint,
  tls: ClientTlsSettings,
): EndpointTls {
  switch (tls.mode) {
    case 'DISABLE':
      return PLAINTEXT
    case 'ISTIO_MUTUAL':
      return {
        kind: 'istioMutual',
        serverName: tls.sni === '' ? serverName(service, port) : tls.sni,
        expectedIds: tls.subjectAltNames.length > 0 ? [] : idsOf(mesh, service, endpoint),
        subjectAltNames: tls.subjectAltNames,
      }
    case 'SIMPLE':
    case 'MUTUAL':
      return originated(service, tls)
    default:
      return tls.mode satisfies never
  }
}

/**
 * Without names of its own the certificate must fit the name that the client asks for. (Istio verifies the chain alone
 * where `sni` is written and `subjectAltNames` is not.)
 */
function originated(service: FoundService, tls: ClientTlsSettings): EndpointTls {
  if (tls.credentialName !== '') return { kind: 'unusable', reason: 'its DestinationRule names a credential' }
  if (tls.mode === 'MUTUAL' && (tls.clientCertificate === '' || tls.privateKey === '')) {
    return { kind: 'unusable', reason: 'its DestinationRule names no client certificate' }
  }
  const name = tls.sni === '' ? service.host : tls.sni
  const named = [tls.subjectAltNames, service.subjectAltNames].find((names) => names.length > 0)
  return {
    kind: 'originated',
    serverName: name,
    subjectAltNames: tls.insecureSkipVerify ? [] : (named ?? [name]),
    caCertificates: tls.caCertificates,
    caCrl: tls.caCrl,
    client: tls.mode === 'MUTUAL' ? { certificate: tls.clientCertificate, key: tls.privateKey } : null,
    insecureSkipVerify: tls.insecureSkipVerify,
  }
}

function serverName({ host }: FoundService, port: number): string {
  return `outbound_.${port}_._.${host}`
}

const TLS_MODE = 'security.istio.io/tlsMode'
const INJECT = 'sidecar.istio.io/inject'

/**
 * Whether the other side can take mutual TLS: by Istio's label, which its injector writes; without one where a Sidecar or
 * STRICT says that a proxy stands before the workload. Never where its port has mTLS disabled.
 */
function takesMutualTls(mesh: Mesh, { workload, labels, port }: ServiceEndpoint): boolean {
  const mode = workload === null ? 'PERMISSIVE' : mtlsModeFor(mesh, workload, port)
  if (mode === 'DISABLE') return false
  const label = labelOf(labels, TLS_MODE)
  if (label !== null) return label === 'istio'
  if (workload === null || labelOf(labels, INJECT) === 'false') return false
  return mode === 'STRICT' || sidecarFor(mesh, workload) !== null
}

function idsOf(mesh: Mesh, service: FoundService, { workload, serviceAccount }: ServiceEndpoint): readonly string[] {
  const domains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const account = workload?.serviceAccount ?? serviceAccount
  const namespace = workload?.namespace ?? service.namespace
  const ids = account === '' ? [] : domains.map((domain) => `spiffe://${domain}/ns/${namespace}/sa/${account}`)
  return [...ids, ...service.subjectAltNames]
}
