/** What became of one check, as its provider's metrics have it. */
export type CheckResult = 'answered' | 'failed' | 'timeout' | 'cancelled' | 'overflow'

/** What became of giving a check to an endpoint; `notProcessed`: it did not act on it, and the check is made again once. */
export type AttemptResult = 'answered' | 'failed' | 'timeout' | 'notProcessed'

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
  attempted(endpoint: string, result: AttemptResult): void
  /** A check that was not processed is made again. */
  retried(): void
  /** `endpoint` is `ADDRESS:PORT` or `unix:PATH`; `detail` holds no secret. */
  endpointChanged(endpoint: string, change: EndpointChange, detail: string): void
  /** Whether some endpoint can be asked; not told before that is known. */
  providerChanged(reachable: boolean, detail: string): void
}

export const noEvents: ClientEvents = {
  checked() {},
  attempted() {},
  retried() {},
  endpointChanged() {},
  providerChanged() {},
}
