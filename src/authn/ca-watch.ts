import type { Logger } from '../observe/log.ts'
import { reopenCaFolder } from './ca-files.ts'
import type { CertificateAuthority, DevelopmentCaOptions } from './certificate-authority.ts'
import { watchFolders } from './watch-folders.ts'

/**
 * Calls `changed` with the development CA in `folder` whenever its roots have been replaced by ones that can be used;
 * what cannot be is reported and changes nothing. Returns how to stop that.
 */
export function watchCaFolder(
  folder: string,
  current: CertificateAuthority,
  options: DevelopmentCaOptions,
  logger: Logger,
  changed: (ca: CertificateAuthority) => void,
): () => void {
  let roots = current.roots
  let complaint = ''
  const look = () => {
    const opened = reopenCaFolder(folder, options) ?? { kind: 'failed', reason: `${folder} has no root any more` }
    if (opened.kind === 'failed') {
      if (opened.reason !== complaint) logger.error('the development CA was not read again', { reason: opened.reason })
      complaint = opened.reason
      return
    }
    complaint = ''
    if (opened.ca.roots === roots) return
    roots = opened.ca.roots
    changed(opened.ca)
  }
  return watchFolders([folder], look, logger)
}
