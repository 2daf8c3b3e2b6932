import { availableParallelism } from 'node:os'
import type { CloseTimes } from '../../extauthz/server/authorizer-server.ts'
import { type Args, UsageError } from '../command.ts'
import { readDuration } from '../duration.ts'
import type { Io } from '../io.ts'
import type { KeySettings, WorkerSettings } from './messages.ts'

const DEFAULT_STUCK_AFTER = 5000
const DEFAULT_GRACE = 5000

/** More processes than this are a slip of the finger. */
const MOST_WORKERS = 256

export interface SupervisorSettings {
  readonly workers: number
  readonly stuckAfter: number
  readonly times: CloseTimes
}

export function readSupervisorSettings(args: Args): SupervisorSettings {
  const duration = (name: string, fallback: number) => {
    const text = args.value(name)
    const given = text === undefined ? fallback : readDuration(text, `--${name}`)
    if (given < 0) throw new UsageError(`--${name}: \`${text}\` is below zero`)
    return given
  }
  const stuckAfter = duration('stuck-after', DEFAULT_STUCK_AFTER)
  if (stuckAfter < 1000) throw new UsageError('--stuck-after must be at least a second')
  return {
    workers: readWorkers(args.value('workers')),
    stuckAfter,
    times: { delay: duration('drain-delay', 0), grace: duration('grace', DEFAULT_GRACE) },
  }
}

function readWorkers(text: string | undefined): number {
  if (text === undefined) return 1
  if (text === 'auto') return availableParallelism()
  const count = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= MOST_WORKERS) return count
  throw new UsageError(`--workers: \`${text}\` is no number from 1 to ${MOST_WORKERS}`, 'or `auto`: one for each core')
}

/** For processes of authorizers inside `up`: their decisions are in the proxy's log. */
export function workerSettings(args: Args, io: Io, keys: KeySettings): WorkerSettings {
  return { keys, level: args.flag('verbose') ? 'debug' : 'info', decisions: null, otlp: readOtlp(io) }
}

export function readDecisions(args: Args): WorkerSettings['decisions'] {
  const level = args.value('decisions') ?? 'off'
  const text = args.value('decision-sample')
  const sample = text === undefined ? 1 : Number(text)
  if (text === '' || !(sample >= 0 && sample <= 1)) {
    throw new UsageError(`--decision-sample: \`${text}\` is no share from 0 to 1`, 'write 0.01 for one in a hundred')
  }
  return level === 'all' || level === 'denied' ? { level, sample } : null
}

/** The variables of OpenTelemetry's SDKs; null when they name no endpoint, or turn the export off. */
export function readOtlp({ env }: Pick<Io, 'env'>): WorkerSettings['otlp'] {
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT
  const text = own || (base && `${base.replace(/\/+$/, '')}/v1/traces`)
  const off = env.OTEL_SDK_DISABLED === 'true' || env.OTEL_TRACES_EXPORTER === 'none'
  if (!text || off) return null
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError('OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL', 'http://localhost:4318')
  }
  const pairs = (env.OTEL_EXPORTER_OTLP_TRACES_HEADERS || env.OTEL_EXPORTER_OTLP_HEADERS || '').split(',')
  const headers = pairs.flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals < 1 ? [] : [[pair.slice(0, equals).trim(), decoded(pair.slice(equals + 1).trim())] as const]
  })
  return { url: url.href, headers: Object.fromEntries(headers), serviceName: env.OTEL_SERVICE_NAME || 'sallyport' }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
