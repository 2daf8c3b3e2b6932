/** From a mesh to Envoy's configuration: what a workload's proxy would have, as plain objects to print as JSON or YAML. */
export { envoyProblems } from './check/problems.ts'
export { DEFAULT_LOG_FORMAT, fileAccessLog } from './translate/access-log.ts'
export { type Bootstrap, type BootstrapOptions, bootstrap, type Resources } from './translate/bootstrap.ts'
export { type FilterOptions, httpFilterStack, networkFilterStack } from './translate/filter-stack.ts'
export type { JwksOptions } from './translate/jwks-place.ts'
export type { PortView } from './translate/permission.ts'
export type { RbacForm, RbacReport } from './translate/rbac-filter.ts'
export type { CertificateFiles } from './translate/tls.ts'
export {
  type PlacedPort,
  type Placement,
  type TranslatedWorkload,
  type TranslateOptions,
  translateWorkload,
} from './translate/workload.ts'
