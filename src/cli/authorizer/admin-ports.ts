import type { AdminAddress } from '../../admin/index.ts'
import { type Args, UsageError } from '../command.ts'

/** Beside those of `up`, so that both run on one machine. */
const METRICS_PORT = 15030
const HEALTH_PORT = 15031

export interface AdminPorts {
  readonly addresses: { readonly health: AdminAddress | null; readonly metrics: AdminAddress | null }
  /** A port that nobody asked for is not worth ending for. */
  readonly skipTaken: boolean
}

export function readAdminPorts(args: Args): AdminPorts {
  const host = args.value('admin-host') ?? '127.0.0.1'
  const address = (name: string, fallback: number): AdminAddress | null => {
    const text = args.value(name)
    if (text === undefined) return { host, port: fallback }
    if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65535) throw new UsageError(`--${name}: \`${text}\` is no port`)
    return Number(text) === 0 ? null : { host, port: Number(text) }
  }
  return {
    addresses: { health: address('health-port', HEALTH_PORT), metrics: address('metrics-port', METRICS_PORT) },
    skipTaken: args.value('health-port') === undefined && args.value('metrics-port') === undefined,
  }
}
