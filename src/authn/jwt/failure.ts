/** Why a token is refused: the reason is the body of the answer. All but the last are Envoy's words. */
export type JwtFailure =
  | 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
  | 'Jwt header is an invalid Base64url encoded'
  | 'Jwt header is an invalid JSON'
  | 'Jwt header [alg] field is required and must be a string'
  | 'Jwt header [alg] is not supported'
  | 'Jwt header [kid] field is not a string'
  | 'Jwt payload is an invalid Base64url encoded'
  | 'Jwt payload is an invalid JSON'
  | 'Jwt payload [iss] field is not a string'
  | 'Jwt payload [sub] field is not a string'
  | 'Jwt payload [jti] field is not a string'
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not an integer`
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not a positive 64 bit integer`
  | 'Jwt payload [aud] field is not a string or string list'
  | 'Jwt signature is an invalid Base64url encoded'
  | 'Jwt ED25519 signature is wrong length'
  | 'Jwt issuer is not configured'
  | 'Jwt not yet valid'
  | 'Jwt is expired'
  | 'Audiences in Jwt are not allowed'
  | "Jwks doesn't have key to match kid or alg from Jwt"
  | 'Jwt verification fails'
  | "Jwks doesn't have any valid public key"
  | 'Jwks remote fetch is failed'
  | 'Jwt verification is overloaded'

/**
 * A wrong audience is 403: the token is good, but not for this workload. A token that nobody had time to look at is 503:
 * it may be good, and 401 would make clients throw it away and all ask their issuer for another one.
 */
export function statusOf(failure: JwtFailure): 401 | 403 | 503 {
  switch (failure) {
    case 'Audiences in Jwt are not allowed':
      return 403
    case 'Jwt verification is overloaded':
      return 503
    default:
      return 401
  }
}

/** Envoy's response code details: one word in an access log. */
export function detailsOf(failure: JwtFailure): string {
  return `jwt_authn_access_denied{${failure.replaceAll(' ', '_')}}`
}
