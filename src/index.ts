/**
 * Sallyport's core: from the text of policy files to decisions.
 *
 * `parseSource` reads text, `loadMesh` decodes it, `validateMesh` says what Istio would refuse, `lower` makes rules of the
 * policies that apply to a workload, and `compile` makes the decider. Nothing here opens a file or a socket.
 */
export { asBytes } from './match/bytes.ts'
export { HeaderMap } from './match/header-map.ts'
export { type IpAddress, parseIp, parseSocketIp, printIp } from './match/ip.ts'
export { normalizePath } from './match/request-path.ts'
export { authorizationPoliciesFor, jwtRulesFor, mtlsModeFor } from './mesh/attach.ts'
export type { AuthorizationPolicy } from './mesh/authorization-policy.ts'
export { type LoadOptions, loadMesh } from './mesh/load.ts'
export type { Mesh } from './mesh/mesh.ts'
export type { MeshConfig } from './mesh/mesh-config.ts'
export type { Provider } from './mesh/provider.ts'
export { usableProvider } from './mesh/providers.ts'
export { validateMesh } from './mesh/validate.ts'
export type { Workload } from './mesh/workload.ts'
export { compile } from './policy/compile.ts'
export type { CustomVerdict, Decider, DryRun, Verdict } from './policy/decider.ts'
export type { Decision, Phase } from './policy/decision.ts'
export { type Claims, type ConnectionFacts, Facts, type HttpFacts } from './policy/facts.ts'
export { createInterpreter } from './policy/interpret.ts'
export type { PolicyIr } from './policy/ir.ts'
export { type LowerInput, lower } from './policy/lower.ts'
export type { Diagnostic, Severity } from './source/diagnostic.ts'
export type { SourceDocument } from './source/document.ts'
export { parseSource } from './source/parse.ts'
