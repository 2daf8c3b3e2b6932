import { MASKED } from '../observe/mask.ts'

/** Each with what is put in its place; what a message holds is short, so that none of them takes long. */
const secrets: readonly (readonly [RegExp, string])[] = [
  // A JSON Web Token, or the beginning of one: base64url of `{"`.
  [/eyJ[\w-]{10,}[\w.-]*/g, MASKED],
  [/\b(Basic|Bearer|Digest|Negotiate|Token)\s+[\w.~+/=:-]{6,}/gi, `$1 ${MASKED}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, MASKED],
  // The members of a JSON Web Key that are private (RFC 7518, section 6).
  [/(["']?\b(?:d|p|q|dp|dq|qi|k)\b\\?["']?\s*:\s*\\?["'])[\w+/=-]+/g, `$1${MASKED}`],
  [/(:\/\/)[^/\s@`]+@/g, `$1${MASKED}@`],
]

/** A user's words as a diagnostic may repeat them: tokens, keys and passwords of known forms are hidden. */
export function conceal(text: string): string {
  let shown = text
  for (const [secret, instead] of secrets) shown = shown.replace(secret, instead)
  return shown
}
