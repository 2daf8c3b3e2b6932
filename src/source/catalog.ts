import type { Severity } from './diagnostic.ts'

interface Entry {
  readonly severity: Severity
  /** One line for `docs/diagnostics.md`. */
  readonly title: string
}

function entry(severity: Severity, title: string): Entry {
  return { severity, title }
}

/**
 * Every diagnostic that the product can print. Codes are stable: a retired one stays listed and is never used for
 * something else. SP0xx text, SP1xx decoding, SP2xx Istio's validation, SP3xx the mesh as a whole, SP4xx analysis, SP5xx running, SP6xx Envoy.
 */
export const catalog = {
  SP001: entry('error', 'a file or folder cannot be read'),
  SP002: entry('error', 'a document is not valid YAML or JSON'),
  SP003: entry('error', 'a document or file is larger or deeper than the limits'),
  SP101: entry('error', 'a document is no object with apiVersion and kind'),
  SP102: entry('error', 'a kind is misspelt'),
  SP103: entry('error', 'a field is unknown'),
  SP104: entry('error', 'a value has the wrong type'),
  SP105: entry('error', 'a required field is missing'),
  SP106: entry('error', 'a value is not one of those allowed'),
  SP107: entry('error', 'an API version is not one that Istio accepts for the kind'),
  SP108: entry('info', 'a kind is not used and was skipped'),
  SP109: entry('error', 'two documents declare the same resource with different contents'),
  SP110: entry('info', 'a resource is declared twice with the same contents'),
  SP111: entry('error', 'two unrelated workloads have one name'),
  SP201: entry('error', 'a policy has both a selector and targets'),
  SP202: entry('error', 'a label selector has an empty key, a wildcard, or a value that no label has'),
  SP203: entry('error', 'a target reference is not one that a policy can have'),
  SP204: entry('error', 'a policy without rules can never take effect'),
  SP205: entry('error', 'a provider is missing, or named by a policy that is not CUSTOM'),
  SP206: entry('error', 'a condition is not supported with the action CUSTOM'),
  SP207: entry('error', 'a part of a rule is empty'),
  SP208: entry('error', 'a list holds an empty value'),
  SP209: entry('error', 'a service account is not written as one, or not allowed beside other fields'),
  SP210: entry('error', 'a trust domain is not written as one'),
  SP211: entry('error', 'an IP address or CIDR range is not one'),
  SP212: entry('error', 'a port is not one'),
  SP213: entry('error', 'a path template is not one that Envoy has'),
  SP214: entry('error', 'a condition has no key, no values, or a key of the wrong form'),
  SP215: entry('error', 'a condition has a key that does not exist'),
  SP216: entry('error', 'the dry-run annotation is not usable'),
  SP217: entry('error', 'a list is longer than the resource allows'),
  SP218: entry('error', 'an annotation is one that only Istio itself may set'),
  SP220: entry('error', 'a JWT rule names neither an issuer nor keys, or an empty one'),
  SP221: entry('error', 'the place or the text of JWT keys is not usable'),
  SP222: entry('error', 'a place for tokens or claims has no usable name'),
  SP223: entry('error', 'the time to fetch JWT keys is too short or too fine'),
  SP230: entry('error', 'mTLS is set for ports where it cannot be'),
  SP231: entry('error', 'a DestinationRule is one that Istio refuses'),
  SP240: entry('error', 'an authorization provider is one that Istio refuses'),
  SP250: entry('warning', 'a selector without labels selects everything'),
  SP251: entry('warning', 'a DENY rule on HTTP attributes alone denies all TCP traffic'),
  SP252: entry('warning', 'JWT keys hold a private or symmetric key'),
  SP253: entry('info', 'a provider name is one that newer Istio refuses'),
  SP254: entry('warning', 'JWT keys are such that no token can be verified'),
  SP255: entry('warning', 'a condition that Istio accepts and cannot compile'),
  SP256: entry('warning', 'an additional header of a provider has a variable that is not known here'),
  SP301: entry('warning', 'a CUSTOM policy names a provider that is not declared'),
  SP302: entry('warning', 'a selector matches no workload'),
  SP303: entry('warning', 'the host of a provider is in no Service or ServiceEntry'),
  SP304: entry('error', 'a Delegation names a provider that is not declared'),
  SP305: entry('warning', 'a provider of a Delegation is shown less than its file says'),
  SP306: entry('warning', 'TLS settings of a DestinationRule cannot be used'),
  SP401: entry('warning', 'an ALLOW policy never takes effect: a DENY rule matches everything'),
  SP402: entry('warning', 'several CUSTOM providers on one workload: everything they would decide is refused'),
  SP403: entry('warning', 'a condition on tokens where no RequestAuthentication verifies any'),
  SP404: entry('warning', 'a `*` that is no wildcard'),
  SP405: entry('warning', 'a value that no request can have'),
  SP406: entry('warning', 'a port that no workload of the policy has'),
  SP407: entry('warning', 'a name that is in no file, where one nearly the same is'),
  SP408: entry('warning', 'a target that does not exist, so that the policy applies to nothing'),
  SP409: entry('warning', 'a rule on HTTP attributes at a TCP port, where it means something else'),
  SP410: entry('info', 'a Delegation is not portable: Istio does not know it'),
  SP411: entry('warning', 'a Delegation refuses every connection of a TCP port, since its provider speaks HTTP'),
  SP501: entry('error', 'an address cannot be listened on'),
  SP502: entry('error', 'the engine of an authorizer cannot be loaded'),
  SP503: entry('error', 'a certificate cannot be had'),
  SP504: entry('error', 'a listener would forward to itself'),
  SP505: entry('warning', 'a server of a gateway is not served by this version'),
  SP601: entry('error', 'a name in a policy is one that Envoy refuses'),
  SP602: entry('error', 'a value in a policy is longer than Envoy takes'),
  SP603: entry('error', 'JWT keys, or a place of tokens, are ones that Envoy refuses'),
  SP604: entry('warning', 'Envoy cannot get the keys of an issuer'),
  SP605: entry('error', 'a provider is one that Envoy refuses'),
  SP606: entry('error', 'an address is one that Envoy cannot use'),
  SP607: entry('error', 'a Delegation is in force that Envoy cannot be told of'),
  SP608: entry('warning', 'a Delegation in shadow is left out of what Envoy is told'),
} as const satisfies Record<string, Entry>

export type Code = keyof typeof catalog
