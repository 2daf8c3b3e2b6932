// Lets a client's address ask 60 times a minute, behind one gateway. It remembers 10,000 clients, and then forgets the
// one whose minute began first.
import { type AuthorizerRequest, allow, clientAddress, deny } from 'sallyport/extauthz'

const minutes = new Map<string, { readonly end: number; requests: number }>()

export default function check(request: AuthorizerRequest) {
  const client = clientAddress(request, { trustedProxies: 1 }) ?? 'unknown'
  const now = performance.now()
  const known = minutes.get(client)
  const minute = known !== undefined && now < known.end ? known : { end: now + 60_000, requests: 0 }
  if (minute !== known) remember(client, minute)
  minute.requests++
  if (minute.requests <= 60) return allow()
  return deny({ status: 429, headers: { 'retry-after': String(Math.ceil((minute.end - now) / 1000)) } })
}

function remember(client: string, minute: { readonly end: number; requests: number }) {
  minutes.delete(client)
  minutes.set(client, minute)
  const [oldest] = minutes.keys()
  if (minutes.size > 10_000 && oldest !== undefined) minutes.delete(oldest)
}
