import type { AdminAddress } from '../../admin/index.ts'
import type { Args } from '../command.ts'
import { readPort } from '../port.ts'

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
    const port = readPort(args, name, fallback)
    return port === null ? null : { host, port }
  }
  return {
    addresses: { health: address('health-port', HEALTH_PORT), metrics: address('metrics-port', METRICS_PORT) },
    skipTaken: args.value('health-port') === undefined && args.value('metrics-port') === undefined,
  }
}
