/** Everything that a command may touch of its process; only `main.ts` makes one from the real process. */
export interface Io {
  /** Data. */
  readonly stdout: (text: string) => void
  /** Bytes of data that its reader has not taken yet. */
  readonly backlog: () => number
  /** Whether stdout is a terminal. */
  readonly terminal: boolean
  /** Talk: progress, diagnostics, help on errors. */
  readonly stderr: (text: string) => void
  /** Standard input, for `-`. To be read once. */
  readonly stdin: () => AsyncIterable<Uint8Array>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Whether the streams are terminals that show colour. */
  readonly color: { readonly stdout: boolean; readonly stderr: boolean }
  /** Aborts at the first SIGINT or SIGTERM; until a command asks for it, those end the process. */
  readonly stop: AbortSignal
  readonly now: () => number
}

/** Exit codes, the same whatever the output format. */
export const EXIT = { ok: 0, findings: 1, usage: 2, invalid: 3, internal: 4 } as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
