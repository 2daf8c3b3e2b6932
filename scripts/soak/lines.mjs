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

/** Whether a line of standard error is one that there may be at any time. */
export function isKnown(line) {
  if (line.trim() === '' || TALK.some((pattern) => pattern.test(line))) return true
  const text = /^\d{4}-\d\d-\d\dT[\d:.]+Z (.*)$/.exec(line)?.[1]
  return text !== undefined && LOGGED.some((pattern) => pattern.test(text))
}
