import { lookup as lookupName } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import * as tls from 'node:tls'
import { Agent, buildConnector, type Dispatcher, ProxyAgent, request } from 'undici'
import { isBlockedAddress } from './blocked-address.ts'
import { type ProxyEnvironment, readProxyEnvironment, type Way } from './http-fetch-proxy.ts'
import type { Fetched, FetchKeys } from './jwks-cache.ts'

export interface HttpFetchOptions {
  /** PEM certificates to trust beside the platform's. */
  readonly ca?: readonly string[]
  /** Another address for a host of a URI, or null to ask DNS. TLS still expects the URI's host. */
  readonly resolve?: (host: string, port: number) => { readonly address: string; readonly port: number } | null
  /** For hosts that `resolve` knows nothing of. Default: no proxy. */
  readonly proxy?: ProxyEnvironment
  /** DNS; default: the platform's. */
  readonly lookup?: typeof lookupName
}

const maxRedirects = 3

/**
 * Fetches over HTTP/1.1. Redirects are followed at most three times and never from https to http. Link-local and
 * metadata addresses are refused at the moment of connecting, whatever name led there; behind a proxy, which looks names
 * up itself, those that a URI spells out. No connection is kept.
 */
export function createHttpFetch(options: HttpFetchOptions = {}): FetchKeys {
  const dispatcher = dispatchers(options)
  return async (uri, { timeout, maxBytes, signal }) => {
    const timer = AbortSignal.timeout(Math.ceil(timeout))
    try {
      return await follow(uri, dispatcher, maxBytes, AbortSignal.any([timer, signal]))
    } catch (error) {
      if (timer.aborted) return failed(`no complete answer within ${Math.ceil(timeout)} ms`)
      return failed(describe(error))
    }
  }
}

function failed(reason: string): Fetched {
  return { kind: 'failed', reason }
}

/** What a URL is fetched by, or why it is not fetched. */
type Dispatchers = (url: URL) => Dispatcher | string

function dispatchers(options: HttpFetchOptions): Dispatchers {
  const straight = new Agent({ connect: createConnect(options) })
  const wayOf = readProxyEnvironment(options.proxy ?? {})
  const proxies = new Map<string, Dispatcher>()
  return (url) => {
    const host = hostOf(url.hostname)
    const outside = wayOf(url)
    const way: Way = outside.kind === 'direct' || knownAddress(options, url) === null ? outside : { kind: 'direct' }
    switch (way.kind) {
      case 'direct':
        return straight
      case 'invalid':
        return way.reason
      case 'proxy': {
        if (isIP(host) !== 0 && isBlockedAddress(host)) return blockedReason(host)
        const known = proxies.get(way.uri) ?? throughProxy(way.uri, options)
        proxies.set(way.uri, known)
        return known
      }
      default:
        return way satisfies never
    }
  }
}

/** https through a tunnel, http by absolute URIs. The proxy is the operator's choice: where it is, is not questioned. */
function throughProxy(uri: string, options: HttpFetchOptions): Dispatcher {
  const tls = { maxCachedSessions: 0, ...trusted(options) }
  return new ProxyAgent({ uri, proxyTunnel: false, requestTls: tls, proxyTls: tls })
}

async function follow(uri: string, dispatcherOf: Dispatchers, maxBytes: number, signal: AbortSignal): Promise<Fetched> {
  let url = uri
  for (let redirects = 0; ; redirects++) {
    if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return failed('it is not an http or https URI')
    const dispatcher = dispatcherOf(new URL(url))
    if (typeof dispatcher === 'string') return failed(dispatcher)
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      signal,
      reset: true,
      headers: { accept: 'application/json' },
    })
    const { location } = headers
    if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
      await body.dump({ limit: 0 })
      if (redirects === maxRedirects) return failed(`more than ${maxRedirects} redirects`)
      if (!URL.canParse(location, url)) return failed('redirected to what is no URI')
      const next = new URL(location, url)
      if (next.protocol === 'http:' && url.toLowerCase().startsWith('https:'))
        return failed('redirected from https to http')
      url = next.href
      continue
    }
    if (statusCode < 200 || statusCode > 299) {
      await body.dump({ limit: 0 })
      return failed(`answered with status ${statusCode}`)
    }
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length
      // Leaving the loop destroys the body and its connection.
      if (length > maxBytes) return failed(`the answer is longer than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return { kind: 'ok', body: Buffer.concat(chunks).toString('utf8') }
  }
}

function trusted({ ca = [] }: HttpFetchOptions): { readonly ca?: string[] } {
  return ca.length === 0 ? {} : { ca: [...tls.rootCertificates, ...ca] }
}

function hostOf(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function knownAddress(
  { resolve }: HttpFetchOptions,
  { hostname, port, protocol }: Pick<URL, 'hostname' | 'protocol'> & { readonly port?: string | null | undefined },
): { readonly address: string; readonly port: number } | null {
  const host = hostOf(hostname)
  return isIP(host) === 0 ? (resolve?.(host, Number(port || (protocol === 'https:' ? 443 : 80))) ?? null) : null
}

function createConnect(own: HttpFetchOptions): buildConnector.connector {
  const connect = buildConnector({
    maxCachedSessions: 0,
    lookup: guarded(own.lookup ?? lookupName),
    ...trusted(own),
  })
  return (options, callback) => {
    const literal = hostOf(options.hostname)
    const port = Number(options.port || (options.protocol === 'https:' ? 443 : 80))
    const other = knownAddress(own, options)
    const address = other?.address ?? literal
    if (isIP(address) !== 0 && isBlockedAddress(address)) {
      callback(blockedError(address), null)
      return
    }
    connect(
      {
        ...options,
        hostname: address,
        port: String(other?.port ?? port),
        ...(isIP(literal) === 0 ? { servername: literal } : {}),
      },
      callback,
    )
  }
}

/** DNS with blocked addresses left out, at dial time, so that a name cannot change its mind after a check. */
function guarded(lookup: typeof lookupName): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      const allowed = addresses.filter(({ address }) => !isBlockedAddress(address))
      const [first] = allowed
      if (first === undefined) return callback(blockedError(hostname), '', 0)
      if (options.all === true) return callback(null, allowed)
      return callback(null, first.address, first.family)
    })
  }
}

function blockedError(address: string): Error {
  return new Error(blockedReason(address))
}

function blockedReason(address: string): string {
  return `${address} is a link-local or metadata address`
}

/** The innermost cause: of a failed connection to several addresses, the first. */
function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0])
  if (!(error instanceof Error)) return 'unknown error'
  if (error.cause instanceof Error) return describe(error.cause)
  return error.message
}
