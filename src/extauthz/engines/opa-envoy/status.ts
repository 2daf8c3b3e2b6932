import { isEnvoyStatus } from '../../../mesh/envoy-status.ts'

/**
 * The statuses that both Go and Envoy know by name, of those that end an exchange; with any other one OPA's plug-in for
 * Envoy answers an error.
 */
export function isStatus(status: number): boolean {
  return status !== 100 && isEnvoyStatus(status)
}
