import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type CertificateAuthority, maxTtl } from '../../authn/certificate-authority.ts'
import { parseWorkloadId, printWorkloadId } from '../../authn/spiffe-id.ts'
import { readFileIfThere, replaceFile } from '../../authn/whole-file.ts'
import { readFailure } from '../../source/read-text.ts'
import { type Args, UsageError } from '../command.ts'
import { printGoDuration, readDuration } from '../duration.ts'
import { InvalidInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { createNotes } from '../notes.ts'

/** Istio's names for the files of a workload. */
const FILES = { certificate: 'cert-chain.pem', key: 'key.pem', ca: 'root-cert.pem' } as const

/** Writes a workload's certificate, its key and the roots to a folder, and prints their paths. */
export function issue(authority: CertificateAuthority, args: Args, io: Io): ExitCode {
  const { trustDomain } = authority
  const namespace = args.value('namespace') ?? 'default'
  const serviceAccount = args.value('service-account') ?? 'default'
  const id = printWorkloadId({ trustDomain, namespace, serviceAccount })
  if (parseWorkloadId(id) === null) throw new UsageError(`${id} is no workload's SPIFFE id`)
  const ttl = readTtl(args)
  const out = args.value('out') ?? `${namespace}-${serviceAccount}`
  const folder = resolve(io.cwd, out)
  const { certificate, chain, key } = authority.issue({ namespace, serviceAccount, ttl })
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    refuseForeign(folder, id)
    // The certificate last: who watches it finds its key there.
    replaceFile(join(folder, FILES.ca), authority.roots, 0o644)
    replaceFile(join(folder, FILES.key), key, 0o600)
    replaceFile(join(folder, FILES.certificate), chain, 0o644)
  } catch (error) {
    if (error instanceof InvalidInput) throw error
    throw new InvalidInput(`${out}: ${readFailure(error)}`)
  }
  const until = new Date(new X509Certificate(certificate).validTo).toISOString()
  createNotes(args, io)([`${id}, good until ${until}; the key is readable by you alone`])
  io.stdout(`${[FILES.certificate, FILES.key, FILES.ca].map((name) => join(out, name)).join('\n')}\n`)
  return EXIT.ok
}

function readTtl(args: Args): number {
  const ttl = readDuration(args.value('ttl') ?? '24h', '--ttl')
  if (ttl <= 0) throw new UsageError('--ttl: a certificate is good for a second at least')
  // Istio's words.
  if (ttl > maxTtl) {
    const [asked, most] = [ttl, maxTtl].map(printGoDuration)
    throw new UsageError(`--ttl: requested TTL ${asked} is greater than the max allowed TTL ${most}`)
  }
  return ttl
}

/** Files of the same workload are replaced; a key that belongs to something else is not. */
function refuseForeign(folder: string, id: string): void {
  const [key, certificate] = [
    readFileIfThere(join(folder, FILES.key)),
    readFileIfThere(join(folder, FILES.certificate)),
  ]
  if (key === null && certificate === null) return
  const names = certificate === null ? undefined : subjectAlternativeName(certificate)
  if (names === `URI:${id}`) return
  throw new InvalidInput(
    `${folder} has ${key === null ? FILES.certificate : FILES.key} of something else: take another --out`,
  )
}

function subjectAlternativeName(pem: string): string | undefined {
  try {
    return new X509Certificate(pem).subjectAltName
  } catch {
    return undefined
  }
}
