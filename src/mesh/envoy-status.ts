/** The members of Envoy's `envoy.type.v3.StatusCode`, without its 0. */
const statuses: ReadonlySet<number> = new Set([
  100,
  ...range(200, 208),
  226,
  ...range(300, 305),
  307,
  308,
  ...range(400, 417),
  ...range(421, 424),
  ...[426, 428, 429, 431],
  ...range(500, 508),
  510,
  511,
])

/** Whether Envoy's configuration and answers to it may have this status. */
export function isEnvoyStatus(status: number): boolean {
  return statuses.has(status)
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
