import { blockContains, type IpBlock, parseIpBlock, parseSocketIp } from '../match/ip.ts'

/** The values of HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
export interface ProxyEnvironment {
  readonly https?: string | undefined
  readonly http?: string | undefined
  readonly no?: string | undefined
}

/** How one URL is fetched. A reason quotes no credentials. */
export type Way =
  | { readonly kind: 'direct' }
  | { readonly kind: 'proxy'; readonly uri: string }
  | { readonly kind: 'invalid'; readonly reason: string }

const direct: Way = { kind: 'direct' }
const loopback = ['127.0.0.0/8', '::1'].map((text) => parseIpBlock(text) as IpBlock)

/**
 * What the variables say about a URL, by the rules of Go's `httpproxy`, which istiod fetches keys by: a NO_PROXY entry
 * is a host and those below it, `.host` only those below, an address, a network, each with a port or without, or `*`;
 * nothing on this machine is asked of a proxy.
 */
export function readProxyEnvironment({ https, http, no }: ProxyEnvironment): (url: URL) => Way {
  const ways = { 'https:': wayTo(https ?? ''), 'http:': wayTo(http ?? '') }
  const exceptions = (no ?? '')
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map(exception)
  return (url) => {
    const way = ways[url.protocol as keyof typeof ways] ?? direct
    if (way.kind === 'direct') return way
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    return isHere(host) || exceptions.some((matches) => matches(host, port)) ? direct : way
  }
}

function wayTo(value: string): Way {
  if (value === '') return direct
  const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  if (!URL.canParse(uri)) return { kind: 'invalid', reason: 'the proxy of the environment is no URI' }
  const { protocol } = new URL(uri)
  if (protocol !== 'http:' && protocol !== 'https:')
    return { kind: 'invalid', reason: `a proxy by ${protocol} is not supported` }
  return { kind: 'proxy', uri }
}

function isHere(host: string): boolean {
  if (host === 'localhost') return true
  const ip = parseSocketIp(host)
  return ip !== null && loopback.some((block) => blockContains(block, ip))
}

type Exception = (host: string, port: string) => boolean

function exception(entry: string): Exception {
  if (entry === '*') return () => true
  const network = parseIpBlock(entry)
  if (network !== null) return inNetwork(network)
  const [, bracketed, name = '', port] = /^(?:\[(.*)\]|([^:]*))(?::([0-9]+))?$/.exec(entry) ?? []
  const onPort = (matches: Exception): Exception =>
    port === undefined ? matches : (host, at) => at === port && matches(host, at)
  const address = parseIpBlock(bracketed ?? name)
  if (address !== null) return onPort(inNetwork(address))
  const domain = name.replace(/^\*\./, '.')
  if (domain === '' || domain === '.') return () => false
  if (domain.startsWith('.')) return onPort((host) => host.endsWith(domain))
  return onPort((host) => host === domain || host.endsWith(`.${domain}`))
}

function inNetwork(network: IpBlock): Exception {
  return (host) => {
    const ip = parseSocketIp(host)
    return ip !== null && blockContains(network, ip)
  }
}
