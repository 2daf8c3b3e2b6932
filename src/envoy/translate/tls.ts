import { SPIFFE_SCHEME } from '../../match/spiffe.ts'
import type { StringMatcher } from './matchers.ts'

/** `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`, as Istio's inbound chains have it. */
export interface DownstreamTls {
  readonly name: 'envoy.transport_sockets.tls'
  readonly typed_config: {
    readonly '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'
    readonly require_client_certificate: true
    readonly common_tls_context: {
      readonly alpn_protocols: readonly string[]
      readonly tls_params: {
        readonly tls_minimum_protocol_version: 'TLSv1_2'
        readonly tls_maximum_protocol_version: 'TLSv1_3'
        readonly cipher_suites: readonly string[]
      }
      readonly tls_certificate_sds_secret_configs: readonly [{ readonly name: string }]
      readonly combined_validation_context: {
        readonly default_validation_context: {
          readonly match_typed_subject_alt_names: readonly {
            readonly san_type: 'URI'
            readonly matcher: StringMatcher
          }[]
        }
        readonly validation_context_sds_secret_config: { readonly name: string }
      }
    }
  }
}

/** `envoy.extensions.transport_sockets.tls.v3.Secret` that leads to files. */
export type Secret = { readonly name: string } & (
  | {
      readonly tls_certificate: {
        readonly certificate_chain: { readonly filename: string }
        readonly private_key: { readonly filename: string }
      }
    }
  | { readonly validation_context: { readonly trusted_ca: { readonly filename: string } } }
)

/** Paths of PEM files: a workload's chain, its key, and the roots of its peers. */
export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

const ciphers = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
]

const alpn = { http: ['h2', 'http/1.1'], tcp: ['istio-peer-exchange', 'h2', 'http/1.1'] } as const

/** Mutual TLS with peers of these trust domains. */
export function downstreamTls(
  protocol: 'http' | 'tcp',
  trustDomains: readonly string[],
  prefix: string,
): DownstreamTls {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      require_client_certificate: true,
      common_tls_context: {
        alpn_protocols: alpn[protocol],
        tls_params: {
          tls_minimum_protocol_version: 'TLSv1_2',
          tls_maximum_protocol_version: 'TLSv1_3',
          cipher_suites: ciphers,
        },
        tls_certificate_sds_secret_configs: [{ name: `${prefix}default` }],
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: trustDomains.map((domain) => ({
              san_type: 'URI',
              matcher: { prefix: `${SPIFFE_SCHEME}${domain}/` },
            })),
          },
          validation_context_sds_secret_config: { name: `${prefix}ROOTCA` },
        },
      },
    },
  }
}

/** The secrets that `downstreamTls` names, under Istio's names. */
export function secretsOf({ certificate, key, ca }: CertificateFiles, prefix: string): readonly Secret[] {
  return [
    {
      name: `${prefix}default`,
      tls_certificate: { certificate_chain: { filename: certificate }, private_key: { filename: key } },
    },
    { name: `${prefix}ROOTCA`, validation_context: { trusted_ca: { filename: ca } } },
  ]
}
