import { type Admin, type AdminDeps, type AdminOptions, createAdmin } from '../../admin/index.ts'
import type { Logger } from '../../observe/log.ts'
import { InvalidInput } from '../input.ts'

/** Serves health and metrics, and says which ports were taken. Throws InvalidInput where there is no other way. */
export async function startAdmin(options: AdminOptions, deps: AdminDeps, logger: Logger): Promise<Admin> {
  const admin = await createAdmin(options, deps)
  if (admin.kind === 'adminError') throw new InvalidInput(`cannot listen on ${admin.host}:${admin.port}: ${admin.code}`)
  for (const { part, port } of admin.skipped) logger.warn('port is taken; not served', { part, port })
  return admin
}
