/** What became of one check, as its provider's metrics have it. */
export type CheckResult = 'answered' | 'failed' | 'timeout' | 'cancelled' | 'overflow'

/** What happened to one endpoint. */
export type EndpointChange =
  | 'joined'
  | 'left'
  | 'connected'
  | 'disconnected'
  | 'ejected'
  | 'returned'
  | 'unhealthy'
  | 'healthy'

/** Told while it happens: must return soon and must not throw. */
export interface ClientEvents {
  /** `seconds` since the check came. */
  checked(result: CheckResult, seconds: number): void
  /** `endpoint` is `ADDRESS:PORT` or `unix:PATH`; `detail` holds no secret. */
  endpointChanged(endpoint: string, change: EndpointChange, detail: string): void
  /** Whether some endpoint can be asked; not told before that is known. */
  providerChanged(reachable: boolean, detail: string): void
}

export const noEvents: ClientEvents = { checked() {}, endpointChanged() {}, providerChanged() {} }
