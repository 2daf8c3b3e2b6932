import { suggest } from '../source/suggest.ts'

/** The kinds that are decoded. */
export const usedKinds = [
  'AuthorizationPolicy',
  'RequestAuthentication',
  'PeerAuthentication',
  'ServiceEntry',
  'DestinationRule',
  'Sidecar',
  'Gateway',
  'KubernetesGateway',
  'WorkloadEntry',
  'WorkloadGroup',
  'IstioOperator',
  'Authorizer',
  'Delegation',
  'PolicyTest',
  'Namespace',
  'Service',
  'ServiceAccount',
  'ConfigMap',
  'Pod',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'Job',
] as const

export type UsedKind = (typeof usedKinds)[number]

/** What stands under `kind`: Gateway API and Istio have a kind of one name. */
export function writtenAs(kind: UsedKind): string {
  return kind === 'KubernetesGateway' ? 'Gateway' : kind
}

interface Group {
  readonly versions: readonly string[]
  readonly used: readonly UsedKind[]
  /** Kinds that are real but not used here. Null: the group has kinds that this list does not know. */
  readonly others: readonly string[] | null
}

const groups: ReadonlyMap<string, Group> = new Map<string, Group>([
  [
    'security.istio.io',
    {
      versions: ['v1', 'v1beta1'],
      used: ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'],
      others: [],
    },
  ],
  [
    'networking.istio.io',
    {
      versions: ['v1', 'v1beta1', 'v1alpha3'],
      used: ['ServiceEntry', 'DestinationRule', 'Sidecar', 'Gateway', 'WorkloadEntry', 'WorkloadGroup'],
      others: ['VirtualService', 'EnvoyFilter', 'ProxyConfig', 'TrafficExtension'],
    },
  ],
  [
    'gateway.networking.k8s.io',
    {
      versions: ['v1', 'v1beta1'],
      used: ['KubernetesGateway'],
      others: [
        ...['GatewayClass', 'HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute', 'UDPRoute', 'ReferenceGrant'],
        ...['BackendTLSPolicy', 'ListenerSet'],
      ],
    },
  ],
  // Gateway API's experiments, whose group is so near in name that it must be told apart.
  ['gateway.networking.x-k8s.io', { versions: [], used: [], others: null }],
  ['install.istio.io', { versions: ['v1alpha1'], used: ['IstioOperator'], others: [] }],
  ['sallyport.dev', { versions: ['v1alpha1'], used: ['Authorizer', 'Delegation', 'PolicyTest'], others: [] }],
  ['', { versions: ['v1'], used: ['Namespace', 'Service', 'ServiceAccount', 'ConfigMap', 'Pod'], others: null }],
  ['apps', { versions: ['v1'], used: ['Deployment', 'StatefulSet', 'DaemonSet'], others: null }],
  ['batch', { versions: ['v1'], used: ['Job'], others: null }],
])

/** What a document's `apiVersion` and `kind` mean. */
export type KindOf =
  | { readonly kind: 'used'; readonly name: UsedKind }
  | { readonly kind: 'list' }
  | { readonly kind: 'skipped' }
  /** `meant` is the kind that was probably meant. */
  | { readonly kind: 'misspeltKind'; readonly message: string; readonly help: string; readonly meant: UsedKind | null }
  | { readonly kind: 'wrongVersion'; readonly message: string; readonly help: string; readonly meant: UsedKind | null }

export function kindOf(apiVersion: string, kind: string): KindOf {
  const slash = apiVersion.indexOf('/')
  const groupName = slash === -1 ? '' : apiVersion.slice(0, slash)
  const version = apiVersion.slice(slash + 1)
  const group = groups.get(groupName)
  if (kind.endsWith('List') && group !== undefined && (kind === 'List' || isUsed(kind.slice(0, -4)))) {
    return { kind: 'list' }
  }
  if (group === undefined) return inOtherGroup(apiVersion, groupName, kind)
  const used = usedAs(group, kind)
  if (used !== null) {
    if (group.versions.includes(version)) return { kind: 'used', name: used }
    const accepted = group.versions.map((accepted) => `\`${join(groupName, accepted)}\``).join(', ')
    return {
      kind: 'wrongVersion',
      message: `\`${apiVersion}\` is not a version of ${kind} that Istio and Kubernetes accept`,
      help: `write ${accepted.replace(/, (?=[^,]*$)/, ' or ')}`,
      meant: used,
    }
  }
  if (group.others?.includes(kind) === true) return { kind: 'skipped' }
  const kinds = [...group.used.map(writtenAs), ...(group.others ?? [])]
  const near = suggest(kind, kinds)
  const elsewhere = near === null ? homeOf(kind) : null
  if (near === null && elsewhere === null && group.others === null) return { kind: 'skipped' }
  if (elsewhere !== null) {
    const written = join(elsewhere.group, groups.get(elsewhere.group)?.versions[0] ?? '')
    const message = `\`${kind}\` is not a kind of \`${apiVersion}\``
    return { kind: 'wrongVersion', message, help: `write \`apiVersion: ${written}\``, meant: elsewhere.name }
  }
  const all = kinds.map((name) => `\`${name}\``).join(', ')
  return {
    kind: 'misspeltKind',
    message: `\`${kind}\` is not a kind of \`${groupName === '' ? apiVersion : groupName}\``,
    help: near === null ? `its kinds are ${all}` : `write \`kind: ${near}\``,
    meant: near === null ? null : usedAs(group, near),
  }
}

/** The `apiVersion` of a kind that is used, to propose where one is missing. */
export function apiVersionOf(kind: string): string | null {
  const home = homeOf(kind)
  return home === null ? null : join(home.group, groups.get(home.group)?.versions[0] ?? '')
}

/** A group that is not known is another product's, unless it looks like one of ours. */
function inOtherGroup(apiVersion: string, groupName: string, kind: string): KindOf {
  const names = [...groups].filter(([name, { versions }]) => name !== '' && versions.length > 0).map(([name]) => name)
  const near = suggest(groupName, names)
  if (near === null) return { kind: 'skipped' }
  const group = groups.get(near) as Group
  const meant = usedAs(group, kind)
  const kindMeant = meant ?? suggest(kind, group.used.map(writtenAs))
  // `apps` is so short that other words are near: the kind must tell as well.
  if (kindMeant === null && group.others === null) return { kind: 'skipped' }
  const message = `\`${apiVersion}\` is not an API version that Istio and Kubernetes have`
  return { kind: 'wrongVersion', message, help: `write \`${join(near, group.versions[0] ?? '')}\``, meant }
}

function homeOf(kind: string): { readonly group: string; readonly name: UsedKind } | null {
  for (const [name, group] of groups) {
    const used = usedAs(group, kind)
    if (used !== null) return { group: name, name: used }
  }
  return null
}

function usedAs(group: Group, kind: string): UsedKind | null {
  return group.used.find((name) => writtenAs(name) === kind) ?? null
}

function isUsed(kind: string): boolean {
  return homeOf(kind) !== null
}

function join(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}
