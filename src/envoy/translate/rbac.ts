import type { CidrRange, Extension, HeaderMatcher, MetadataMatcher, StringMatcher } from './matchers.ts'

/** `envoy.config.rbac.v3`, as far as the translation writes it. */
export interface RbacRules {
  readonly action?: 'DENY' | 'LOG'
  /** Envoy walks them by name, byte by byte. */
  readonly policies?: Readonly<Record<string, RbacPolicy>>
}

export interface RbacPolicy {
  readonly permissions: readonly Permission[]
  readonly principals: readonly Principal[]
}

export type Permission =
  | { readonly any: true }
  | { readonly and_rules: { readonly rules: readonly Permission[] } }
  | { readonly or_rules: { readonly rules: readonly Permission[] } }
  | { readonly not_rule: Permission }
  | { readonly header: HeaderMatcher }
  | { readonly url_path: { readonly path: StringMatcher } }
  | { readonly uri_template: Extension<UriTemplate> }
  | { readonly destination_ip: CidrRange }
  | { readonly destination_port: number }
  | { readonly requested_server_name: StringMatcher }
  | { readonly metadata: MetadataMatcher }

export type Principal =
  | { readonly any: true }
  | { readonly and_ids: { readonly ids: readonly Principal[] } }
  | { readonly or_ids: { readonly ids: readonly Principal[] } }
  | { readonly not_id: Principal }
  | { readonly authenticated: { readonly principal_name: StringMatcher } }
  | { readonly direct_remote_ip: CidrRange }
  | { readonly remote_ip: CidrRange }
  | { readonly header: HeaderMatcher }
  | { readonly metadata: MetadataMatcher }

interface UriTemplate {
  readonly '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig'
  readonly path_template: string
}
