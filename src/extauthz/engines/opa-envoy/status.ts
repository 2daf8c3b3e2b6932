/** The statuses that both Go and Envoy know by name; with any other one OPA's plug-in for Envoy answers an error. */
const statuses: ReadonlySet<number> = new Set([
  ...range(200, 208),
  226,
  ...range(300, 305),
  307,
  308,
  ...range(400, 417),
  ...range(421, 424),
  426,
  428,
  429,
  431,
  ...range(500, 508),
  510,
  511,
])

export function isStatus(status: number): boolean {
  return statuses.has(status)
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
