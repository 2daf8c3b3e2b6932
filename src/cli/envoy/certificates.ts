import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openCaFolder } from '../../authn/ca-files.ts'
import { readCredentials } from '../../authn/credential-files.ts'
import { parseWorkloadId, printWorkloadId } from '../../authn/spiffe-id.ts'
import type { CertificateFiles } from '../../envoy/index.ts'
import type { MeshConfig } from '../../mesh/mesh-config.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Args } from '../command.ts'
import { InvalidInput } from '../input.ts'
import type { Io } from '../io.ts'
import type { Notes } from '../notes.ts'
import { readCertificateOrigin } from '../up/identities.ts'

/** The files that Envoy reads: those of the command line, or new ones of the development CA. Throws InvalidInput. */
export function certificateFiles(
  { namespace, serviceAccount }: Workload,
  { trustDomain }: MeshConfig,
  args: Args,
  io: Io,
  notes: Notes,
): CertificateFiles {
  const origin = readCertificateOrigin(args, io)
  if (origin.kind === 'files') {
    const read = readCredentials(origin)
    if (typeof read === 'string') throw new InvalidInput(`Envoy could not use the certificate: ${read}`)
    return { certificate: origin.certificate, key: origin.key, ca: origin.ca }
  }
  const id = printWorkloadId({ trustDomain, namespace, serviceAccount })
  // Names of files are made of it, and nobody would accept a certificate for it.
  if (parseWorkloadId(id) === null) throw new InvalidInput(`${id} is no workload's SPIFFE id`)
  const folder = join(origin.folder, trustDomain)
  const opened = openCaFolder(folder, { trustDomain, now: io.now })
  if (opened.kind === 'failed') throw new InvalidInput(`no certificate can be made: ${opened.reason}`)
  const { chain, key } = opened.ca.issue({ namespace, serviceAccount })
  const own = join(folder, 'envoy', namespace, serviceAccount)
  const files = {
    certificate: join(own, 'cert-chain.pem'),
    key: join(own, 'key.pem'),
    ca: join(folder, 'root-cert.pem'),
  }
  mkdirSync(own, { recursive: true, mode: 0o700 })
  writeFileSync(files.key, key, { mode: 0o600 })
  writeFileSync(files.certificate, chain)
  notes([
    `a development certificate of ${id}, good for a day, is in ${own}: for anything else give --cert, --key and --ca`,
  ])
  return files
}
