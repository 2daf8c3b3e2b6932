export type { AuthorizerEngine } from '../mesh/authorizer.ts'
export { createEngine, type Engine, type EngineLoading, type EngineOptions } from './engines/engine.ts'
export type { Address } from './server/address.ts'
export type { AllowAnswer, AllowOptions, Answer, DenyAnswer, DenyOptions, MultiHeaders } from './server/answer.ts'
export { allow, deny } from './server/answer.ts'
export type { Authorizer, AuthorizerOptions, CloseOptions, Listening, ListenOptions } from './server/authorizer.ts'
export { createAuthorizer } from './server/authorizer.ts'
export type {
  Attributes,
  AuthorizerBody,
  AuthorizerConnection,
  AuthorizerPeer,
  AuthorizerRequest,
} from './server/request.ts'
