import { byAge } from './attach.ts'
import type { DestinationRule, PortPolicy } from './destination-rule.ts'
import { selects } from './labels.ts'
import type { Mesh } from './mesh.ts'
import { serviceNamespace } from './registry.ts'
import type { Labels } from './resource.ts'

/** Who calls: DestinationRules depend on its namespace, and with `workloadSelector` on its labels. */
export interface DestinationClient {
  readonly namespace: string
  readonly labels: Labels
}

/** What the DestinationRules say of a service's port; each null where nothing is said. */
export interface DestinationSettings extends PortPolicy {
  /** The rule that says it; null when there is none. */
  readonly rule: DestinationRule | null
}

const NOTHING: DestinationSettings = { tls: null, connectionPool: null, outlierDetection: null, rule: null }

/**
 * What applies to the calls of `client` to `[namespace/]host` at `port`, as Istio finds it: the first of the client's
 * namespace, the service's and the root namespace that has a rule for the host, visible to the client; in it the rule
 * with the longest host.
 */
export function destinationSettings(
  mesh: Mesh,
  client: DestinationClient,
  host: string,
  port: number,
): DestinationSettings {
  if (mesh.destinationRules.length === 0) return NOTHING
  const name = host.slice(host.indexOf('/') + 1).toLowerCase()
  const rule = ruleFor(mesh, client, name, serviceNamespace(mesh, host))
  const policy = rule?.trafficPolicy
  if (rule === null || policy === undefined || policy === null) return { ...NOTHING, rule }
  const { tls, connectionPool, outlierDetection } = policy.portLevelSettings.find((one) => one.port === port) ?? policy
  return { tls, connectionPool, outlierDetection, rule }
}

/** istio/istio pilot/pkg/model: PushContext.destinationRule, then SidecarScope.DestinationRule. */
function ruleFor(
  mesh: Mesh,
  client: DestinationClient,
  host: string,
  serviceNamespace: string | null,
): DestinationRule | null {
  const { rootNamespace } = mesh.config
  const root = client.namespace === rootNamespace
  const places: readonly [namespace: string | null, visible: (rule: DestinationRule) => boolean][] = [
    // Rules of the root namespace are for everybody, so that a service's own come before; but not what is private there.
    [client.namespace, root ? isPrivate : isLocal],
    [serviceNamespace, (rule) => isExportedTo(rule, client.namespace)],
    [rootNamespace, (rule) => isExportedTo(rule, client.namespace)],
  ]
  for (const [namespace, visible] of places) {
    const rules = mesh.destinationRules.filter((rule) => rule.meta.namespace === namespace && visible(rule))
    const found = mostSpecific(rules, host)
    if (found.length > 0) return chosen(found, client)
  }
  return null
}

/** The rules of the longest host that fits, oldest first. */
function mostSpecific(rules: readonly DestinationRule[], host: string): readonly DestinationRule[] {
  let best: string | null = null
  for (const rule of rules) {
    const name = fullHost(rule)
    if (name === host) {
      best = name
      break
    }
    const fits = name.startsWith('*') && host.endsWith(name.slice(1))
    if (fits && (best === null || name.length > best.length)) best = name
  }
  if (best === null) return []
  return rules.filter((rule) => fullHost(rule) === best).sort(byAge)
}

/** One that selects the client, else one for all; rules for the same clients are one, with the first traffic policy. */
function chosen(rules: readonly DestinationRule[], client: DestinationClient): DestinationRule | null {
  const selecting = rules.filter(
    ({ selector, meta }) =>
      selector !== null && meta.namespace === client.namespace && selects(selector, client.labels),
  )
  const forAll = rules.filter(({ selector }) => selector === null)
  const [first] = selecting
  const same = first === undefined ? forAll : selecting.filter(({ selector }) => sameLabels(selector, first.selector))
  return same.find(({ trafficPolicy }) => trafficPolicy !== null) ?? same[0] ?? null
}

function sameLabels(a: Labels | null, b: Labels | null): boolean {
  const names = Object.keys(a ?? {})
  return names.length === Object.keys(b ?? {}).length && names.every((name) => a?.[name] === b?.[name])
}

/** A name without a point is of the rule's own namespace. */
function fullHost({ host, meta }: DestinationRule): string {
  const name = host.toLowerCase()
  return name.includes('.') || name === '*' ? name : `${name}.${meta.namespace}.svc.cluster.local`
}

function exports({ exportTo, selector }: DestinationRule): readonly string[] {
  return selector === null ? exportTo : ['.']
}

function isLocal(rule: DestinationRule): boolean {
  const to = exports(rule)
  return to.length === 0 || to.some((one) => one === '*' || one === '.' || one === rule.meta.namespace)
}

function isPrivate(rule: DestinationRule): boolean {
  const [only, ...others] = exports(rule)
  return others.length === 0 && (only === '.' || only === rule.meta.namespace)
}

function isExportedTo(rule: DestinationRule, namespace: string): boolean {
  if (isPrivate(rule)) return false
  const to = exports(rule)
  return to.length === 0 || to.some((one) => one === '*' || one === namespace)
}
