import { parseIp } from '../../match/ip.ts'
import { SPIFFE_SCHEME } from '../../match/spiffe.ts'
import type { MutualTls, OriginatedTls } from '../../mesh/endpoint-tls.ts'

/** `envoy.config.core.v3.TransportSocket` with `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`. */
export interface UpstreamTls {
  readonly name: 'envoy.transport_sockets.tls'
  readonly typed_config: {
    readonly '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
    readonly sni?: string
    readonly common_tls_context: CommonTls
  }
}

interface CommonTls {
  readonly alpn_protocols?: readonly string[]
  readonly tls_params?: {
    readonly tls_minimum_protocol_version: 'TLSv1_2'
    readonly tls_maximum_protocol_version: 'TLSv1_3'
  }
  readonly tls_certificates?: readonly [{ readonly certificate_chain: DataSource; readonly private_key: DataSource }]
  readonly tls_certificate_sds_secret_configs?: readonly [{ readonly name: string }]
  readonly validation_context?: ValidationContext
  readonly combined_validation_context?: {
    readonly default_validation_context: ValidationContext
    readonly validation_context_sds_secret_config: { readonly name: string }
  }
}

interface DataSource {
  readonly filename: string
}

interface ValidationContext {
  readonly trusted_ca?: DataSource
  readonly crl?: DataSource
  readonly system_root_certs?: Readonly<Record<string, never>>
  readonly match_typed_subject_alt_names?: readonly SubjectAltNameMatcher[]
}

interface SubjectAltNameMatcher {
  readonly san_type: 'DNS' | 'IP_ADDRESS' | 'URI' | 'EMAIL'
  readonly matcher: { readonly exact: string } | { readonly prefix: string }
}

const versions = {
  tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
} as const

function socket(sni: string, common_tls_context: CommonTls): UpstreamTls {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      // An address is no server name.
      ...(parseIp(sni) === null ? { sni } : {}),
      common_tls_context,
    },
  }
}

/** TLS to a server of this name. `ca` is a path; Envoy checks no name against the system's own roots. */
export function upstreamTls(host: string, ca: string): UpstreamTls {
  return socket(host, {
    validation_context: { match_typed_subject_alt_names: [ofName(host)], trusted_ca: { filename: ca } },
  })
}

/** Istio's mutual TLS with the secrets of the workload (`secretsOf`). Without names: any of the trust domains. */
export function mutualTls(
  tls: MutualTls,
  trustDomains: readonly string[],
  http2: boolean,
  prefix: string,
): UpstreamTls {
  const names = [...tls.expectedIds, ...tls.subjectAltNames].flatMap(matchersOf)
  const anyId = trustDomains.map(
    (domain): SubjectAltNameMatcher => ({ san_type: 'URI', matcher: { prefix: `${SPIFFE_SCHEME}${domain}/` } }),
  )
  return socket(tls.serverName, {
    ...versions,
    alpn_protocols: http2 ? ['istio', 'h2'] : ['istio'],
    tls_certificate_sds_secret_configs: [{ name: `${prefix}default` }],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: names.length > 0 ? names : anyId },
      validation_context_sds_secret_config: { name: `${prefix}ROOTCA` },
    },
  })
}

/** TLS as a DestinationRule describes it, with the files that it names. */
export function originatedTls(tls: OriginatedTls, http2: boolean): UpstreamTls {
  const { client, caCertificates, caCrl, subjectAltNames, insecureSkipVerify } = tls
  const roots =
    caCertificates === '' || caCertificates === 'system'
      ? { system_root_certs: {} }
      : { trusted_ca: { filename: caCertificates } }
  return socket(tls.serverName, {
    ...versions,
    ...(http2 ? { alpn_protocols: ['h2'] } : {}),
    ...(client === null
      ? {}
      : {
          tls_certificates: [
            { certificate_chain: { filename: client.certificate }, private_key: { filename: client.key } },
          ],
        }),
    ...(insecureSkipVerify
      ? {}
      : {
          validation_context: {
            ...roots,
            ...(caCrl === '' ? {} : { crl: { filename: caCrl } }),
            match_typed_subject_alt_names: subjectAltNames.flatMap(matchersOf),
          },
        }),
  })
}

function ofName(name: string): SubjectAltNameMatcher {
  return { san_type: parseIp(name) === null ? 'DNS' : 'IP_ADDRESS', matcher: { exact: name } }
}

/** A DestinationRule does not say of what type its names are. */
function matchersOf(name: string): readonly SubjectAltNameMatcher[] {
  if (name.includes('://')) return [{ san_type: 'URI', matcher: { exact: name } }]
  if (name.includes('@')) return [{ san_type: 'EMAIL', matcher: { exact: name } }]
  return [ofName(name)]
}
