// Lets in who has a token with the scope that the method needs, and tells the application who that is.
import { allow, deny, verifyTokens } from 'sallyport/extauthz'

const { ISSUER = 'https://issuer.example', JWKS_URI = `${ISSUER}/jwks.json` } = process.env

export default verifyTokens({ issuer: ISSUER, audiences: ['shop'], jwksUri: JWKS_URI }, ({ method, token }) => {
  const scope = method === 'GET' || method === 'HEAD' ? 'read' : 'write'
  if (!token.scopes.includes(scope)) return deny({ body: { error: 'insufficient_scope', scope } })
  return allow({ headers: { 'x-user': token.subject }, removeHeaders: ['authorization'] })
})
