// Decides by policy.json: the first rule for the method and the path says which workloads may ask.
import { readFileSync } from 'node:fs'
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

interface Rule {
  readonly methods: readonly string[]
  readonly prefix: string
  readonly principals: readonly string[]
}

const rules: readonly Rule[] = JSON.parse(readFileSync(new URL('./policy.json', import.meta.url), 'utf8'))

export default function check({ method, pathname, source }: AuthorizerRequest) {
  const rule = rules.find(({ methods, prefix }) => methods.includes(method) && pathname.startsWith(prefix))
  return rule?.principals.includes(source.principal) ? allow() : deny({ body: { error: 'no rule lets this in' } })
}
