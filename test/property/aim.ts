import type { AuthorizationPolicy, Operation, Source, Values } from '#src/mesh/authorization-policy.ts'
import type { Claims } from '#src/policy/facts.ts'
import { type Asked, FILTER } from './requests.ts'

/**
 * The request bent towards one rule of the policies, so that rules match about as often as not: it gets, attribute by
 * attribute, what one of the rule's values asks for, now and then what a `not` value forbids. `seed` decides all choices.
 */
export function aim(asked: Asked, policies: readonly AuthorizationPolicy[], seed: number): Asked {
  const choices = new Choices(seed)
  const rules = policies.flatMap(({ rules }) => rules)
  if (rules.length === 0) return asked
  const rule = choices.of(rules)
  const bent = new Bent(asked, choices)
  if (rule.from !== null && rule.from.length > 0) bend(bent, choices, choices.of(rule.from), sourceKeys)
  if (rule.to !== null && rule.to.length > 0) bend(bent, choices, choices.of(rule.to), operationKeys)
  for (const { key, ...values } of rule.when) bendTo(bent, choices, key, values)
  return bent.asked
}

const sourceKeys: Readonly<Record<keyof Source, string>> = {
  principals: 'source.principal',
  requestPrincipals: 'request.auth.principal',
  namespaces: 'source.namespace',
  serviceAccounts: 'source.serviceAccount',
  trustDomains: 'source.trustDomain',
  ipBlocks: 'source.ip',
  remoteIpBlocks: 'remote.ip',
}

const operationKeys: Readonly<Record<keyof Operation, string>> = {
  hosts: 'hosts',
  ports: 'destination.port',
  methods: 'methods',
  paths: 'paths',
}

function bend<K extends string>(
  bent: Bent,
  choices: Choices,
  of: Readonly<Record<K, Values>>,
  keys: Readonly<Record<K, string>>,
): void {
  for (const field of Object.keys(keys) as K[]) bendTo(bent, choices, keys[field], of[field])
}

function bendTo(bent: Bent, choices: Choices, key: string, { values, notValues }: Values): void {
  if (values.length > 0 && choices.chance(0.9)) bent.to(key, choices.of(values))
  else if (notValues.length > 0 && choices.chance(0.3)) bent.to(key, choices.of(notValues))
}

/** Numbers from a seed (mulberry32). */
class Choices {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  chance(of: number): boolean {
    return this.#next() < of
  }

  of<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)] as T
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

class Bent {
  asked: Asked
  readonly #choices: Choices

  constructor(asked: Asked, choices: Choices) {
    this.asked = asked
    this.#choices = choices
  }

  /** Makes what `key` looks at into something that `value` accepts, as far as it is known how. */
  to(key: string, value: string): void {
    const { http } = this.asked
    switch (key) {
      case 'hosts':
      case 'request.headers[host]':
        this.#http({ host: this.#choices.chance(0.2) ? this.#text(value).toUpperCase() : this.#text(value) })
        return
      case 'methods':
      case 'request.headers[:method]':
        this.#http({ method: this.#text(value) })
        return
      case 'paths':
        this.#http({ path: this.#path(value) + (this.#choices.chance(0.2) ? '?x=1' : '') })
        return
      case 'request.headers[:path]':
        this.#http({ path: this.#text(value) })
        return
      case 'request.headers[:scheme]':
        this.#http({ scheme: this.#text(value) })
        return
      case 'destination.port':
        if (/^[0-9]+$/.test(value)) this.#connection({ port: Number(value) })
        return
      case 'connection.sni':
        this.#connection({ sni: this.#text(value).toLowerCase() })
        return
      case 'source.ip':
        this.#connection({ sourceIp: addressOf(value) ?? this.asked.sourceIp })
        return
      case 'destination.ip':
        this.#connection({ destinationIp: addressOf(value) ?? this.asked.destinationIp })
        return
      case 'remote.ip':
        if (http !== null) this.#http({ remoteIp: addressOf(value) ?? http.remoteIp })
        else this.#connection({ sourceIp: addressOf(value) ?? this.asked.sourceIp })
        return
      case 'source.principal':
        this.#connection({ peer: `spiffe://${this.#principal(value)}` })
        return
      case 'source.namespace':
        this.#connection({ peer: `spiffe://td1/ns/${value.replaceAll('*', 'x')}/sa/${this.#choices.of(['s', 't'])}` })
        return
      case 'source.serviceAccount': {
        const slash = value.indexOf('/')
        const [namespace, name] = slash === -1 ? ['a', value] : [value.slice(0, slash), value.slice(slash + 1)]
        this.#connection({ peer: `spiffe://td1/ns/${namespace}/sa/${name}${this.#choices.chance(0.1) ? '/x' : ''}` })
        return
      }
      case 'source.trustDomain': {
        const domain = value === 'cluster.local' ? value : value.replaceAll('*', this.#choices.of(['x', '']))
        this.#connection({ peer: `spiffe://${domain}/ns/a/sa/s` })
        return
      }
      case 'request.auth.principal':
        this.#requestPrincipal(value)
        return
      case 'request.auth.audiences':
        this.#claim(['aud'], value)
        return
      case 'request.auth.presenter':
        this.#claim(['azp'], value)
        return
      case 'request.auth.claims[[c]]':
        this.#claim(['[c]'], value)
        return
      case `experimental.${FILTER}[k]`:
        this.#connection({
          metadata: { k: value.startsWith('[') ? ['z', this.#text(value.slice(1, -1))] : this.#text(value) },
        })
        return
      default:
        this.#bracketed(key, value)
    }
  }

  #bracketed(key: string, value: string): void {
    const header = /^request\.headers\[([\w-]+)\]$/.exec(key)
    if (header !== null) this.#header((header[1] as string).toLowerCase(), this.#text(value))
    const claim = /^request\.auth\.claims((?:\[\w+\])+)$/.exec(key)
    if (claim !== null) this.#claim((claim[1] as string).slice(1, -1).split(']['), value)
  }

  #connection(change: Partial<Asked>): void {
    this.asked = { ...this.asked, ...change }
  }

  #http(change: Partial<NonNullable<Asked['http']>>): void {
    const { http } = this.asked
    if (http !== null) this.asked = { ...this.asked, http: { ...http, ...change } }
  }

  /** Something for the star. */
  #text(value: string): string {
    if (value === '*') return this.#choices.of(['z', ''])
    const filling = this.#choices.of(['', 'z'])
    if (value.startsWith('*')) return filling + value.slice(1)
    return value.endsWith('*') ? value.slice(0, -1) + filling : value
  }

  #path(value: string): string {
    if (!value.includes('{')) return this.#text(value)
    return value
      .replaceAll('{*}', this.#choices.of(['s', 's.%20', '*']))
      .replaceAll('{**}', this.#choices.of(['', 'r', 'r/s', '/']))
  }

  /** One of the mesh's domains often stands for `cluster.local`. */
  #principal(value: string): string {
    const filled = value.startsWith('*') ? `td1/ns/a${value.slice(1)}` : this.#text(value)
    return filled.replace(/^cluster\.local/, this.#choices.of(['td1', 'old', 'cluster.local']))
  }

  #requestPrincipal(value: string): void {
    const slash = value.lastIndexOf('/')
    const issuer = slash !== -1 ? value.slice(0, slash) : value.startsWith('*') ? 'x' : value
    const subject = slash !== -1 ? value.slice(slash + 1) : value.startsWith('*') ? value.slice(1) : 'u'
    const fill = (text: string) => text.replaceAll('*', this.#choices.of(['z', '']))
    this.#http({ claims: { ...this.asked.http?.claims, iss: fill(issuer) || 'x', sub: fill(subject) || 'z' } })
  }

  #claim(path: readonly string[], value: string): void {
    const text = this.#text(value)
    let filled: Claims[string] = this.#choices.of<Claims[string]>([text, [text], ['z', text, 1]])
    for (const name of path.slice(1).reverse()) filled = { [name]: filled }
    const [first = ''] = path
    this.#http({ claims: { iss: 'i', sub: 'u', ...this.asked.http?.claims, [first]: filled } })
  }

  /** Alone, behind another line of the name, or in two lines that may count as one. */
  #header(name: string, text: string): void {
    const others = (this.asked.http?.headers ?? []).filter(([other]) => other !== name)
    const lines = this.#choices.of([[text], ['z', text], [text, 'z'], text.split(','), [...text.split(','), '']])
    this.#http({ headers: [...others, ...lines.map((line) => [name, line] as const)] })
  }
}

function addressOf(block: string): string | null {
  const address = block.replace(/\/.*$/, '')
  return /^[0-9.]+$|:/.test(address) ? address : null
}
