export type { Address } from './server/address.ts'
export type {
  AllowAnswer,
  AllowOptions,
  Answer,
  DenyAnswer,
  DenyOptions,
  ErrorAnswer,
  ErrorOptions,
  JsonObject,
  MultiHeaders,
  RedirectOptions,
  RedirectStatus,
} from './server/answer.ts'
export { allow, deny, error, redirect, unauthorized } from './server/answer.ts'
export type { Authorizer, AuthorizerOptions, CloseOptions, Listening, ListenOptions } from './server/authorizer.ts'
export { createAuthorizer } from './server/authorizer.ts'
export { BadRequest } from './server/bad-request.ts'
export type {
  Attributes,
  AuthorizerBody,
  AuthorizerConnection,
  AuthorizerPeer,
  AuthorizerRequest,
} from './server/request.ts'
