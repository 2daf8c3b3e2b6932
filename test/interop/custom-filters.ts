const shadow = 'istio_ext_authz_shadow_effective_policy_id'
const policy = 'istio-ext-authz-opa.local-ns[default]-policy[httpbin-opa]-rule[0]'

/** What Istio makes of a CUSTOM policy with `notPaths: ["/ip"]`: a shadow rule that triggers, and the filter that asks. */
export const customFilters = [
  {
    name: 'envoy.filters.http.rbac',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
      shadow_rules_stat_prefix: 'istio_ext_authz_',
      shadow_rules: {
        action: 'DENY',
        policies: {
          [policy]: {
            permissions: [{ not_rule: { url_path: { path: { exact: '/ip' } } } }],
            principals: [{ any: true }],
          },
        },
      },
    },
  },
  {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '2s' },
      filter_enabled_metadata: {
        filter: 'envoy.filters.http.rbac',
        path: [{ key: shadow }],
        value: { string_match: { prefix: 'istio-ext-authz-opa.local' } },
      },
      with_request_body: { max_request_bytes: 8, allow_partial_message: true },
    },
  },
]
