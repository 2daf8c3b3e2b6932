import type { Json, Path } from '../../source/document.ts'
import type { ClientTlsSettings, DestinationRule, OutlierDetection, PortPolicy } from '../destination-rule.ts'
import type { Findings } from './findings.ts'
import { validateMetadata } from './metadata.ts'

/** What Istio's validation refuses in a DestinationRule, as far as the rule is read here. */
export function validateDestinationRule(rule: DestinationRule, findings: Findings): void {
  validateMetadata(rule.meta, null, findings)
  if (!isWildcardDomain(rule.host)) {
    const message = `domain name ${JSON.stringify(rule.host)} invalid`
    findings.report('SP231', ['spec', 'host'], message, 'write the host of a service: `authz.ns.svc.cluster.local`')
  }
  validateExports(rule, findings)
  const { trafficPolicy } = rule
  if (trafficPolicy === null) return
  const place = ['spec', 'trafficPolicy']
  const written = findings.written(place)
  if (Object.values((written ?? {}) as { readonly [key: string]: Json }).every((value) => value === null)) {
    findings.report('SP231', place, 'traffic policy must have at least one field', 'write `tls`, or remove it')
  }
  validatePolicy(trafficPolicy, place, findings)
  for (const [index, one] of trafficPolicy.portLevelSettings.entries()) {
    const at = [...place, 'portLevelSettings', index]
    if (one.port === null) {
      const help = "write the service's port: `port: { number: 9191 }`"
      findings.report('SP231', at, 'portTrafficPolicy must have valid port', help)
    }
    if (['outlierDetection', 'connectionPool', 'loadBalancer', 'tls'].every((name) => !has(findings, [...at, name]))) {
      const message = 'port traffic policy must have at least one field'
      findings.report('SP231', at, message, 'write `tls`, `connectionPool` or `outlierDetection`')
    }
    validatePolicy(one, at, findings)
  }
}

function has(findings: Findings, path: Path): boolean {
  return findings.written(path) !== undefined
}

function validatePolicy({ tls, outlierDetection }: PortPolicy, at: Path, findings: Findings): void {
  if (tls !== null) validateTls(tls, [...at, 'tls'], findings)
  if (outlierDetection !== null) validateOutliers(outlierDetection, [...at, 'outlierDetection'], findings)
  validatePool([...at, 'connectionPool'], findings)
}

function validateTls(tls: ClientTlsSettings, at: Path, findings: Findings): void {
  const { mode, credentialName, insecureSkipVerify } = tls
  const report = (field: string, message: string, help: string) =>
    findings.report('SP231', [...at, field], message, help)
  if (insecureSkipVerify && (mode === 'SIMPLE' || mode === 'MUTUAL')) {
    const names = ['caCertificates', 'subjectAltNames', ...(mode === 'SIMPLE' ? ['credentialName'] : [])]
    const conflict = names.find((name) => isSet(findings.written([...at, name])))
    if (conflict !== undefined) {
      report(conflict, `cannot specify ${conflict} when insecureSkipVerify is set true`, 'keep one of them')
    }
  }
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return
  if (credentialName !== '') {
    const files = (['clientCertificate', 'caCertificates', 'privateKey', 'caCrl'] as const).find(
      (name) => tls[name] !== '',
    )
    if (files !== undefined) {
      const message = 'cannot specify client certificates or CA certificate or CA CRL If credentialName is set'
      report(files, message, 'keep the files, and remove `credentialName`')
    }
    const help = 'name files instead: `caCertificates`, and with MUTUAL `clientCertificate` and `privateKey`'
    const message = "credentialName is read by gateways only: Istio's sidecars leave TLS out, and here calls fail"
    findings.report('SP306', [...at, 'credentialName'], message, help)
    return
  }
  if (mode === 'SIMPLE') return
  if (tls.clientCertificate === '')
    report('mode', 'client certificate required for mutual tls', 'write `clientCertificate: /PATH.pem`')
  if (tls.privateKey === '') report('mode', 'private key required for mutual tls', 'write `privateKey: /PATH.pem`')
}

function isSet(value: Json | undefined): boolean {
  return value !== undefined && value !== ''
}

function validateOutliers(outliers: OutlierDetection, at: Path, findings: Findings): void {
  if (!outliers.splitExternalLocalOriginErrors && (outliers.consecutiveLocalOriginFailures ?? 0) > 0) {
    const message =
      'outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false'
    const help = 'add `splitExternalLocalOriginErrors: true`'
    findings.report('SP231', [...at, 'consecutiveLocalOriginFailures'], message, help)
  }
  for (const name of ['maxEjectionPercent', 'minHealthPercent'] as const) {
    const value = findings.written([...at, name])
    if (value === undefined || (Number(value) >= 0 && Number(value) <= 100)) continue
    findings.report(
      'SP231',
      [...at, name],
      `percentage ${value} is not in range 0..100`,
      'write a number from 0 to 100',
    )
  }
  for (const name of ['interval', 'baseEjectionTime'] as const)
    validateDuration(outliers[name], [...at, name], findings)
}

const limits = {
  tcp: ['maxConnections'],
  http: [
    ...['http1MaxPendingRequests', 'http2MaxRequests', 'maxRequestsPerConnection', 'maxRetries'],
    'maxConcurrentStreams',
  ],
} as const

function validatePool(at: Path, findings: Findings): void {
  if (!has(findings, at)) return
  if (!has(findings, [...at, 'tcp']) && !has(findings, [...at, 'http'])) {
    findings.report('SP231', at, 'connection pool must have at least one field', 'write `tcp` or `http`')
  }
  for (const [part, names] of Object.entries(limits)) {
    for (const name of names) {
      const value = findings.written([...at, part, name])
      if (value === undefined || !(Number(value) < 0)) continue
      findings.report('SP231', [...at, part, name], `${name} must be non-negative`, 'write a number of 0 or more')
    }
  }
}

/** Envoy counts milliseconds. */
function validateDuration(value: number | null, at: Path, findings: Findings): void {
  if (value === null || (value >= 1 && Number.isInteger(value))) return
  const message = value < 1 ? 'duration must be greater than 1ms' : 'only durations to ms precision are supported'
  findings.report('SP231', at, message, 'write whole milliseconds: `100ms`')
}

function validateExports({ meta, exportTo, selector }: DestinationRule, findings: Findings): void {
  const report = (message: string, help: string) => findings.report('SP231', ['spec', 'exportTo'], message, help)
  const names = exportTo.map((name) => (name === '.' ? meta.namespace : name))
  if (new Set(names).size < names.length) report('duplicate entries in exportTo', 'name each namespace once')
  if (names.includes('*') && names.length > 1) {
    report('cannot have both public (*) and non-public exportTo values for a resource', 'keep `*` alone')
  }
  if (selector !== null && names.some((name) => name !== meta.namespace)) {
    report('destination rule with workload selector cannot have exportTo beyond current namespace', 'write `["."]`')
  }
}

const label = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/

function isWildcardDomain(host: string): boolean {
  const [first = '', ...rest] = host.replace(/\.$/, '').split('.')
  if (host.length > 255) return false
  return (first === '*' || label.test(first.replace(/^\*-?/, ''))) && rest.every((part) => label.test(part))
}
