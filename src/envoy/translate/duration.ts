/** A duration as protobuf's JSON has it: seconds, with three, six or nine digits of a fraction. */
export function milliseconds(value: number): string {
  const nanoseconds = Math.round(value * 1e6)
  const seconds = Math.floor(nanoseconds / 1e9)
  const fraction = nanoseconds - seconds * 1e9
  if (fraction === 0) return `${seconds}s`
  const digits = String(fraction)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '')
  return `${seconds}.${digits}s`
}
