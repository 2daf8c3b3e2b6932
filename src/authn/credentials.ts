import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Logger } from '../observe/log.ts'
import { type CertificateAuthority, renewalTime } from './certificate-authority.ts'
import { splitPem } from './x509/pem.ts'

/** What a proxy is on the network. All PEM. */
export interface Credentials {
  /** The leaf first, then what leads to the root. */
  readonly certificate: string
  readonly key: string
  /** The roots that peers are verified against. */
  readonly ca: string
  /** When the leaf expires, in milliseconds since the epoch. */
  readonly notAfter: number
}

/** Credentials that are replaced before they expire, or when their files change. */
export interface CredentialSource {
  current(): Credentials
  /** Calls `listener` with each replacement; returns how to stop that. */
  onChange(listener: (credentials: Credentials) => void): () => void
  /** Ends timers and watchers. What is current stays usable. */
  close(): void
}

/**
 * Checks that the parts fit together and that TLS can use them, so that a half-written file never replaces good
 * credentials. `now` is in milliseconds since the epoch.
 */
export function parseCredentials(
  certificate: string,
  key: string,
  ca: string,
  now: number = Date.now(),
):
  | { readonly kind: 'credentials'; readonly credentials: Credentials }
  | { readonly kind: 'refused'; readonly reason: string } {
  const refused = (reason: string) => ({ kind: 'refused', reason }) as const
  let leaf: X509Certificate
  let privateKey: KeyObject
  try {
    leaf = new X509Certificate(certificate)
  } catch {
    return refused('the certificate cannot be parsed')
  }
  try {
    privateKey = createPrivateKey(key)
  } catch {
    return refused('the key cannot be parsed')
  }
  if (!leaf.checkPrivateKey(privateKey)) return refused("the key is not the certificate's")
  const roots = splitPem(ca, 'CERTIFICATE')
  if (roots.length === 0 || !roots.every(isCertificate)) return refused('the CA file cannot be parsed')
  if (Date.parse(leaf.validTo) <= now) return refused(`the certificate has expired, on ${leaf.validTo}`)
  try {
    createSecureContext({ cert: certificate, key, ca })
  } catch {
    // What stands after the leaf is looked at here only.
    return refused('the chain of the certificate cannot be parsed')
  }
  return { kind: 'credentials', credentials: { certificate, key, ca, notAfter: Date.parse(leaf.validTo) } }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem)
    return true
  } catch {
    return false
  }
}

/** Holds the current credentials and tells of replacements; a listener that throws does not keep others from hearing. */
export class CredentialHolder {
  readonly #listeners = new Set<(credentials: Credentials) => void>()
  readonly #logger: Logger
  #current: Credentials

  constructor(current: Credentials, logger: Logger) {
    this.#current = current
    this.#logger = logger
  }

  get current(): Credentials {
    return this.#current
  }

  replace(credentials: Credentials): void {
    this.#current = credentials
    for (const listener of this.#listeners) {
      try {
        listener(credentials)
      } catch (error) {
        this.#logger.error('new credentials were not taken over', { reason: String(error) })
      }
    }
  }

  onChange(listener: (credentials: Credentials) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export interface IssuedCredentialsOptions {
  readonly namespace: string
  readonly serviceAccount: string
  /** Of each certificate, in milliseconds; 24 hours by default. */
  readonly ttl?: number
  /** How long to wait before a certificate under a new root, in milliseconds; 10 seconds by default. */
  readonly overlap?: number
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** From 0 to 1. */
  readonly random?: () => number
}

/** Credentials from a CA whose root may be replaced. */
export interface IssuedCredentials extends CredentialSource {
  /**
   * Goes over to another state of the CA: what it trusts is trusted at once; a certificate under its new root follows
   * when others have had the time to trust that root too, or at once when the old root is gone.
   */
  adopt(ca: CertificateAuthority): void
}

/**
 * How long others may need to trust a new root before they meet a certificate of it, in milliseconds. Whoever watches
 * the same folder needs a tenth of a second.
 */
const overlapMs = 10_000

/** The clock is looked at this often: it may have been set, or the machine may have slept, which no timer counts. */
const longestDelay = 60_000

/** Credentials from the CA, issued anew at half their life. Timers never keep the process alive. */
export function createIssuedCredentials(
  authority: CertificateAuthority,
  options: IssuedCredentialsOptions,
): IssuedCredentials {
  const { namespace, serviceAccount, ttl, logger, now = Date.now, random = Math.random } = options
  let ca = authority
  let issuer = ''
  let timer: NodeJS.Timeout | undefined
  let start: number
  let renewal: number

  function issue(): Credentials {
    const { certificate, chain, key } = ca.issue({ namespace, serviceAccount, ...(ttl === undefined ? {} : { ttl }) })
    const { validFrom, validTo } = new X509Certificate(certificate)
    const notAfter = Date.parse(validTo)
    issuer = ca.root
    start = Date.parse(validFrom)
    renewal = renewalTime(start, notAfter, random())
    return { certificate: chain, key, ca: ca.roots, notAfter }
  }

  function renew(): void {
    try {
      holder.replace(issue())
      logger.info('certificate renewed', { namespace, serviceAccount })
    } catch (error) {
      logger.error('certificate was not renewed', { namespace, serviceAccount, reason: String(error) })
    }
  }

  function adopt(changed: CertificateAuthority): void {
    if (changed.roots === ca.roots) return
    ca = changed
    if (!ca.roots.includes(issuer)) {
      renew()
    } else {
      holder.replace({ ...holder.current, ca: ca.roots })
      logger.info('roots replaced', { namespace, serviceAccount })
      if (ca.root !== issuer) renewal = Math.min(renewal, now() + (options.overlap ?? overlapMs))
    }
    arm()
  }

  function arm(): void {
    clearTimeout(timer)
    // At least a second, so that the end of the root's own life makes no busy loop.
    const delay = Math.min(Math.max(renewal - now(), 1000), longestDelay)
    timer = setTimeout(() => {
      // Before its beginning only a clock that was set back can be.
      if (now() >= renewal || now() < start) renew()
      arm()
    }, delay)
    timer.unref()
  }

  const holder = new CredentialHolder(issue(), logger)
  arm()
  return {
    current: () => holder.current,
    onChange: (listener) => holder.onChange(listener),
    adopt,
    close: () => clearTimeout(timer),
  }
}
