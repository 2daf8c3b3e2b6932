// Lets in who has the key of a team, and tells the application which team: API_KEYS is `TEAM=KEY,TEAM=KEY`.
import { type AuthorizerRequest, allow, sameSecret, unauthorized } from 'sallyport/extauthz'

const keys = (process.env.API_KEYS ?? '').split(',').map((entry) => entry.split('='))

export default function check(request: AuthorizerRequest) {
  const given = request.headers['x-api-key'] ?? ''
  const team = keys.find(([, key = '']) => sameSecret(given, key))?.[0]
  if (team === undefined) return unauthorized('ApiKey realm="shop"')
  return allow({ headers: { 'x-team': team }, removeHeaders: ['x-api-key'] })
}
