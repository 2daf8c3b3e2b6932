export type { Span } from '../observe/trace-context.ts'
export type { Address } from './server/address.ts'
export type { AllowAnswer, AllowOptions, Answer, DenyAnswer, DenyOptions, MultiHeaders } from './server/answer.ts'
export { allow, deny } from './server/answer.ts'
export type { Authorizer, AuthorizerOptions, CloseOptions, Listening, ListenOptions } from './server/authorizer.ts'
export { createAuthorizer } from './server/authorizer.ts'
export type { CheckDecision, CheckedRequest } from './server/check-decision.ts'
export type { CheckResult } from './server/judge.ts'
export type { GrpcListenerOptions, ListenerOptions, TlsOptions } from './server/listener-options.ts'
export type { DecisionLogOptions } from './server/observe-checks.ts'
export type {
  Attributes,
  AuthorizerBody,
  AuthorizerConnection,
  AuthorizerPeer,
  AuthorizerRequest,
} from './server/request.ts'
