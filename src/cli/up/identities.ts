import { X509Certificate } from 'node:crypto'
import { join, resolve } from 'node:path'
import { openCaFolder } from '../../authn/ca-files.ts'
import { watchCaFolder } from '../../authn/ca-watch.ts'
import type { CertificateAuthority } from '../../authn/certificate-authority.ts'
import { openCredentialFiles } from '../../authn/credential-files.ts'
import { type CredentialSource, createIssuedCredentials, type IssuedCredentials } from '../../authn/credentials.ts'
import { peerIdentity } from '../../authn/peer.ts'
import { parseWorkloadId, printWorkloadId } from '../../authn/spiffe-id.ts'
import { forwardedClientCertificate } from '../../authn/xfcc.ts'
import { acceptedTrustDomains, type MeshConfig } from '../../mesh/mesh-config.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Logger } from '../../observe/log.ts'
import type { WorkloadIdentity } from '../../proxy/config.ts'
import { type Args, UsageError } from '../command.ts'
import type { Io } from '../io.ts'

/** Where certificates come from: the development CA in a folder, or files that somebody else writes. */
export type CertificateOrigin =
  | { readonly kind: 'development'; readonly folder: string }
  | { readonly kind: 'files'; readonly certificate: string; readonly key: string; readonly ca: string }

export function readCertificateOrigin(args: Args, io: Io): CertificateOrigin {
  const [certificate, key, ca] = [args.value('cert'), args.value('key'), args.value('ca')]
  if (certificate === undefined && key === undefined && ca === undefined) {
    return { kind: 'development', folder: resolve(io.cwd, args.value('ca-dir') ?? defaultCaFolder(io)) }
  }
  if (certificate === undefined || key === undefined || ca === undefined) {
    throw new UsageError('--cert, --key and --ca go together')
  }
  if (args.flag('ca-dir')) throw new UsageError('--ca-dir is for the development CA: leave it out with --cert')
  const path = (file: string) => resolve(io.cwd, file)
  return { kind: 'files', certificate: path(certificate), key: path(key), ca: path(ca) }
}

/** One development root for all proxies of a user, so that they know each other. */
export function defaultCaFolder({ env, cwd }: Io): string {
  const data = env.XDG_DATA_HOME ?? (env.HOME === undefined ? undefined : join(env.HOME, '.local', 'share'))
  return data === undefined ? join(cwd, '.sallyport', 'ca') : join(data, 'sallyport', 'ca')
}

/** The certificates of the workloads that run here. */
export class Identities {
  readonly #origin: CertificateOrigin
  readonly #logger: Logger
  readonly #now: () => number
  readonly #changed: () => void
  readonly #sources = new Map<string, CredentialSource>()
  #ca: CertificateAuthority | null = null
  /** Certificates of that CA. */
  #issued: IssuedCredentials[] = []
  #unwatch = () => {}
  /** The certificate from files that was last complained of. */
  #told = ''
  /** What could not be had the last time, as a message. */
  problem: string | null = null

  /** `changed` is called when a certificate has been replaced. */
  constructor(origin: CertificateOrigin, logger: Logger, now: () => number, changed: () => void) {
    this.#origin = origin
    this.#logger = logger
    this.#now = now
    this.#changed = changed
  }

  /** Null when there is no certificate to be had: `problem` says why. */
  of(workload: Workload, config: MeshConfig): WorkloadIdentity | null {
    const { namespace, serviceAccount } = workload
    const id = printWorkloadId({ trustDomain: config.trustDomain, namespace, serviceAccount })
    // Names of files are made of it, and nobody would accept a certificate for it.
    if (parseWorkloadId(id) === null) {
      this.problem = `${id} is no workload's SPIFFE id`
      return null
    }
    const source = this.#sources.get(id) ?? this.#open(id, workload, config)
    if (source === null) return null
    const { certificate, key, ca } = source.current()
    const trustDomains = acceptedTrustDomains(config)
    const own = this.#ownId(id, certificate, trustDomains)
    return {
      id: own,
      certificate,
      key,
      ca: [ca],
      identifyPeer: (peer: X509Certificate) => peerIdentity(peer, trustDomains, this.#now()),
      forwardedClientCert: (peer: X509Certificate) => forwardedClientCertificate(own, peer),
    }
  }

  /** What others read in the certificate. One from a file may name another workload, which nobody may have meant. */
  #ownId(id: string, certificate: string, trustDomains: readonly string[]): string {
    if (this.#origin.kind !== 'files') return id
    const leaf = new X509Certificate(certificate)
    // Its dates were looked at when it was read.
    const shown = peerIdentity(leaf, trustDomains, Date.parse(leaf.validFrom))
    if (shown.kind === 'peer' && shown.id === id) return id
    if (this.#told !== certificate) {
      this.#told = certificate
      const what = shown.kind === 'peer' ? `it is of ${shown.id}` : shown.reason
      this.#logger.warn('the certificate is not one of the workload: peers that verify it may refuse it', { id, what })
    }
    return shown.kind === 'peer' ? shown.id : id
  }

  close(): void {
    this.#unwatch()
    for (const source of this.#sources.values()) source.close()
  }

  #open(id: string, workload: Workload, config: MeshConfig): CredentialSource | null {
    const source = this.#origin.kind === 'files' ? this.#fromFiles() : this.#issue(workload, config)
    if (source === null) return null
    source.onChange(() => this.#changed())
    this.#sources.set(id, source)
    return source
  }

  #fromFiles(): CredentialSource | null {
    if (this.#origin.kind !== 'files') return null
    const opened = openCredentialFiles(this.#origin, this.#logger)
    if (opened.kind === 'opened') return opened.source
    this.problem = opened.reason
    return null
  }

  #issue({ namespace, serviceAccount }: Workload, { trustDomain }: MeshConfig): CredentialSource | null {
    if (this.#origin.kind !== 'development') return null
    const folder = join(this.#origin.folder, trustDomain)
    if (this.#ca?.trustDomain !== trustDomain) {
      const opened = openCaFolder(folder, { trustDomain, now: this.#now })
      if (opened.kind === 'failed') {
        this.problem = opened.reason
        return null
      }
      if (opened.kind === 'created') {
        this.#logger.warn('made a development CA; it is not for production', { folder })
      }
      this.#use(folder, opened.ca)
    }
    const options = { namespace, serviceAccount, logger: this.#logger, now: this.#now }
    const source = createIssuedCredentials(this.#ca as CertificateAuthority, options)
    this.#issued.push(source)
    return source
  }

  /** From now on, with each of its roots; certificates of another trust domain's CA stay what they are. */
  #use(folder: string, ca: CertificateAuthority): void {
    this.#ca = ca
    this.#issued = []
    this.#unwatch()
    const options = { trustDomain: ca.trustDomain, now: this.#now }
    this.#unwatch = watchCaFolder(folder, ca, options, this.#logger, (changed) => {
      this.#ca = changed
      for (const source of this.#issued) source.adopt(changed)
    })
  }
}
