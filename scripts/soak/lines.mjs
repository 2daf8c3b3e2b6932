// What our programs may write to standard error in a run like this; anything else is a finding.

const TALK = [
  /^(listening|ready|note)\b/,
  /^applied: /,
  /^kept: /,
  // Diagnostics of the bad edits, with the lines that belong to them.
  /: (error|warning): .*\[SP\d+\]$/,
  /^ {4}(?!at )/,
]

const LOGGED = [
  /^info {2}/,
  /^debug /,
  /^warn {2}made a development CA/,
  /^warn {2}provider \S+ does not answer; /,
  /^warn {2}provider \S+: endpoint ejected/,
  /^warn {2}provider cannot be asked provider=\S+ reason=(unavailable|timeout) /,
]

/** Of an authorizer whose worker was killed or stopped. */
const AFTER_FAULTS = [/^error a worker has ended /, /^error a worker did not answer and was killed /]

/** Whether a line of standard error is one that there may be. `faulty`: the program's workers were tampered with. */
export function isKnown(line, faulty) {
  if (line.trim() === '' || TALK.some((pattern) => pattern.test(line))) return true
  const text = /^\d{4}-\d\d-\d\dT[\d:.]+Z (.*)$/.exec(line)?.[1]
  if (text === undefined) return false
  return [...LOGGED, ...(faulty ? AFTER_FAULTS : [])].some((pattern) => pattern.test(text))
}
