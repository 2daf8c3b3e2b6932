import type { Json } from '../../source/document.ts'
import { type Algorithm, findAlgorithm } from './algorithm.ts'
import { decodeBase64url } from './base64url.ts'
import type { JwtFailure } from './failure.ts'
import { type JsonObject, parseJsonObject } from './strict-json.ts'

/** What a token says. */
export interface TokenClaims {
  readonly payload: JsonObject
  /** The middle segment as it was sent. */
  readonly payloadSegment: string
  /** Empty when absent. */
  readonly issuer: string
  readonly audiences: readonly string[]
  /** In seconds; 0 when absent. */
  readonly notBefore: number
  /** In seconds; 0 when absent, which is never. */
  readonly expires: number
}

/** A token whose form is right; nothing about it has been verified. */
export interface Token extends TokenClaims {
  readonly kind: 'token'
  readonly alg: string
  readonly algorithm: Algorithm
  /** Empty when absent. */
  readonly kid: string
  /** `header.payload`, what the signature covers. */
  readonly signed: string
  readonly signature: Buffer
}

export interface Refused {
  readonly kind: 'refused'
  readonly reason: JwtFailure
}

export function refuse(reason: JwtFailure): Refused {
  return { kind: 'refused', reason }
}

/** Parses a compact JWS in Envoy's order of checks: the first fault found names the refusal. */
export function parseToken(text: string): Token | Refused {
  // Envoy drops empty segments: `..h.p.s.` has three.
  const segments = text.split('.').filter((segment) => segment !== '')
  const [headerSegment, payloadSegment, signatureSegment] = segments
  if (
    headerSegment === undefined ||
    payloadSegment === undefined ||
    signatureSegment === undefined ||
    segments.length !== 3
  ) {
    return refuse('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections')
  }

  const header = readHeader(headerSegment)
  if (typeof header === 'string') return refuse(header)
  const { alg, algorithm, kid } = header

  const payloadBytes = decodeBase64url(payloadSegment)
  if (payloadBytes === null) return refuse('Jwt payload is an invalid Base64url encoded')
  const payload = parseJsonObject(payloadBytes)
  if (payload === null) return refuse('Jwt payload is an invalid JSON')
  const { iss = '', sub = '', jti = '' } = payload
  if (typeof iss !== 'string') return refuse('Jwt payload [iss] field is not a string')
  if (typeof sub !== 'string') return refuse('Jwt payload [sub] field is not a string')
  const fault = timeFault('iat', payload) ?? timeFault('nbf', payload) ?? timeFault('exp', payload)
  if (fault !== null) return refuse(fault)
  if (typeof jti !== 'string') return refuse('Jwt payload [jti] field is not a string')
  const audiences = readAudiences(payload.aud)
  if (audiences === null) return refuse('Jwt payload [aud] field is not a string or string list')

  const signature = decodeBase64url(signatureSegment)
  if (signature === null) return refuse('Jwt signature is an invalid Base64url encoded')
  return {
    kind: 'token',
    alg,
    algorithm,
    kid,
    payload,
    payloadSegment,
    issuer: iss,
    audiences,
    notBefore: seconds(payload.nbf),
    expires: seconds(payload.exp),
    signed: `${headerSegment}.${payloadSegment}`,
    signature,
  }
}

type Header = Pick<Token, 'alg' | 'algorithm' | 'kid'>

/** The last header that was good: those of one issuer differ only when its keys do. */
let last: { readonly segment: string; readonly header: Header } | null = null

function readHeader(segment: string): Header | JwtFailure {
  if (last !== null && last.segment === segment) return last.header
  const bytes = decodeBase64url(segment)
  if (bytes === null) return 'Jwt header is an invalid Base64url encoded'
  const object = parseJsonObject(bytes)
  if (object === null) return 'Jwt header is an invalid JSON'
  const { alg, kid = '' } = object
  if (typeof alg !== 'string') return 'Jwt header [alg] field is required and must be a string'
  const algorithm = findAlgorithm(alg)
  if (algorithm === null) return 'Jwt header [alg] is not supported'
  if (typeof kid !== 'string') return 'Jwt header [kid] field is not a string'
  const header = { alg, algorithm, kid }
  // A part of a string keeps all of it in memory: the token, with its signature.
  if (segment.length <= longestKept) last = { segment: Buffer.from(segment, 'latin1').toString('latin1'), header }
  return header
}

const longestKept = 1024

const uint64Limit = 2 ** 64

function timeFault(name: 'iat' | 'nbf' | 'exp', payload: JsonObject): JwtFailure | null {
  const value = payload[name]
  if (value === undefined) return null
  if (typeof value !== 'number') return `Jwt payload [${name}] field is not an integer`
  if (value < 0 || value >= uint64Limit) return `Jwt payload [${name}] field is not a positive 64 bit integer`
  return null
}

/** A fraction is cut off, as Envoy does. */
function seconds(value: Json | undefined): number {
  return typeof value === 'number' ? Math.trunc(value) : 0
}

function readAudiences(value: Json | undefined): readonly string[] | null {
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return null
  return value.every((audience) => typeof audience === 'string') ? (value as readonly string[]) : null
}
