/**
 * The SDK for external authorization: `createAuthorizer` serves a check over Envoy's gRPC and HTTP forms; `allow`,
 * `deny` and their kin are its answers; the rest reads requests and puts checks together. Whatever a check does, a
 * request passes only when it answered `allow`.
 */

export type { AuthorizerEngine } from '../mesh/authorizer.ts'
export type { Fields, Logger } from '../observe/log.ts'
export type { LoggedRequest as CheckedRequest } from '../observe/logged-request.ts'
export type { Span } from '../observe/trace-context.ts'
export { createEngine, type Engine, type EngineLoading, type EngineOptions } from './engines/engine.ts'
export type { BearerChallenge } from './sdk/bearer-challenge.ts'
export { bearerChallenge } from './sdk/bearer-challenge.ts'
export { bearerToken } from './sdk/bearer-token.ts'
export { formBody, jsonBody } from './sdk/body.ts'
export type { ClientAddressOptions } from './sdk/client-address.ts'
export { clientAddress } from './sdk/client-address.ts'
export type { Check } from './sdk/combine.ts'
export { allOf, firstOf } from './sdk/combine.ts'
export type { Cookies } from './sdk/cookies.ts'
export { cookies } from './sdk/cookies.ts'
export { sameSecret } from './sdk/same-secret.ts'
export type { RefusedToken, Token, TokenIssuer, TokenOptions, WithToken } from './sdk/verify-tokens.ts'
export { verifyTokens } from './sdk/verify-tokens.ts'
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
export type { CheckDecision } from './server/check-decision.ts'
export type { CheckResult, Checks } from './server/judge.ts'
export type { GrpcListenerOptions, ListenerOptions, TlsOptions } from './server/listener-options.ts'
export type { DecisionLogOptions } from './server/observe-checks.ts'
export type {
  Attributes,
  AuthorizerBody,
  AuthorizerConnection,
  AuthorizerPeer,
  AuthorizerRequest,
} from './server/request.ts'
