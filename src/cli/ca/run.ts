import { X509Certificate } from 'node:crypto'
import { join, resolve } from 'node:path'
import { openCaFolder } from '../../authn/ca-files.ts'
import { beginRotation, finishRotation } from '../../authn/ca-rotation.ts'
import type { CertificateAuthority } from '../../authn/certificate-authority.ts'
import { parseWorkloadId, printWorkloadId } from '../../authn/spiffe-id.ts'
import { splitPem } from '../../authn/x509/pem.ts'
import { type Args, UsageError } from '../command.ts'
import { InvalidInput } from '../input.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { createNotes } from '../notes.ts'
import { style } from '../style.ts'
import { defaultCaFolder } from '../up/identities.ts'
import { issue } from './issue.ts'

/** The options that belong to one action only. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  issue: ['namespace', 'service-account', 'ttl', 'out'],
  rotate: ['finish'],
}

/** `sallyport ca`: opens, or makes, the CA of a trust domain, and does what was asked with it. */
export async function runCa(args: Args, io: Io): Promise<ExitCode> {
  const action = args.positionals[0] ?? 'show'
  for (const [owner, names] of Object.entries(OWN)) {
    const stray = owner === action ? undefined : names.find((name) => args.flag(name))
    if (stray !== undefined) throw new UsageError(`--${stray} is for \`ca ${owner}\`, not \`ca ${action}\``)
  }
  const trustDomain = readTrustDomain(args)
  const folder = join(resolve(io.cwd, args.value('ca-dir') ?? defaultCaFolder(io)), trustDomain)
  const options = { trustDomain, now: io.now }
  switch (action) {
    case 'issue':
      return issue(openOrMake(), args, io)
    case 'rotate':
      return rotate()
    default:
      return show(openOrMake())
  }

  function openOrMake(): CertificateAuthority {
    const opened = openCaFolder(folder, options)
    if (opened.kind === 'failed') throw new InvalidInput(`no CA can be had: ${opened.reason}`)
    if (opened.kind === 'created') createNotes(args, io)([`made a new root in ${folder}`])
    warn(folder, args, io)
    return opened.ca
  }

  function rotate(): ExitCode {
    const finish = args.flag('finish')
    const rotation = finish ? finishRotation(folder, options) : beginRotation(folder, options)
    if (rotation.kind === 'failed') throw new InvalidInput(`the root was not replaced: ${rotation.reason}`)
    warn(folder, args, io)
    createNotes(
      args,
      io,
    )([
      finish
        ? 'only the new root is trusted now: proxies close connections with certificates of the old one'
        : 'certificates are issued under a new root; the old one is trusted until `sallyport ca rotate --finish`',
    ])
    return show(rotation.ca)
  }

  function show({ roots }: CertificateAuthority): ExitCode {
    const describe = splitPem(roots, 'CERTIFICATE').map((pem, i) => {
      const { fingerprint256, validTo } = new X509Certificate(pem)
      const role = i === 0 ? 'issues certificates' : 'is trusted until the rotation is finished'
      return `root of ${trustDomain} that ${role}: good until ${new Date(validTo).toISOString()}, SHA-256 ${fingerprint256}`
    })
    createNotes(args, io)(describe)
    io.stdout(roots)
    return EXIT.ok
  }
}

function readTrustDomain(args: Args): string {
  const trustDomain = args.value('trust-domain') ?? 'cluster.local'
  // A folder is named after it.
  if (parseWorkloadId(printWorkloadId({ trustDomain, namespace: 'a', serviceAccount: 'a' })) === null) {
    throw new UsageError(`--trust-domain: \`${trustDomain}\` is no trust domain`, 'for example: cluster.local')
  }
  return trustDomain
}

/** Each time: whoever reads the key is any workload. */
function warn(folder: string, args: Args, io: Io): void {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  io.stderr(
    `${paint.yellow('warning')}: this is a development CA, not one for production: its key lies unencrypted in ${folder}\n`,
  )
}
