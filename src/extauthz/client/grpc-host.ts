import type { Buffer } from 'node:buffer'
import { printGrpcTimeout } from '../grpc-framing.ts'
import type { Connect } from './connect.ts'
import type { Target } from './endpoints.ts'
import { failure } from './failure.ts'
import { judgeCheckAnswer } from './grpc-answer.ts'
import { probeGrpc } from './grpc-health.ts'
import { GrpcLane, type LaneOwner } from './grpc-lane.ts'
import { Host, type HostListener } from './host.ts'
import type { Attempt, PendingCheck } from './pending-check.ts'
import { Reconnect } from './reconnect.ts'
import type { Cancellable, OpenUnaryConnection, UnaryCall, UnaryEnd } from './unary-connection.ts'

const checkPath = '/envoy.service.auth.v3.Authorization/Check'

/** Connections of one endpoint that only finish; the oldest beyond these are closed. */
const maxDraining = 8

export interface GrpcHostOptions {
  readonly connect: Connect
  readonly openConnection: OpenUnaryConnection
  readonly authority: string
  readonly maxConnections: number
  /** The framed message of a check. */
  readonly encode: (check: PendingCheck) => Buffer
  /** What the health protocol is asked about. */
  readonly healthService: string
}

/** An endpoint over HTTP/2: one connection, kept open, and more while that one is full. */
export class GrpcHost extends Host implements LaneOwner {
  readonly #options: GrpcHostOptions
  readonly #listener: HostListener
  readonly #open: GrpcLane[] = []
  readonly #draining = new Set<GrpcLane>()
  readonly #reconnect = new Reconnect(() => this.#connect())
  #opening: GrpcLane | null = null
  #problem = ''
  #left: (() => void) | null = null

  constructor(target: Target, options: GrpcHostOptions, listener: HostListener) {
    super(target)
    this.#listener = listener
    this.#options = options
  }

  override get available(): boolean {
    return this.#open.length > 0
  }

  override get proven(): boolean {
    return this.available
  }

  override get opening(): boolean {
    return this.#opening !== null || this.#reconnect.demanded
  }

  override get failing(): boolean {
    return this.#reconnect.failures > 0
  }

  override get doubtful(): boolean {
    return this.#open.every((lane) => lane.doubtful)
  }

  override get room(): number {
    let room = 0
    for (const { connection } of this.#open) room += connection.room
    return room
  }

  override get connections(): number {
    return this.#open.length
  }

  override get problem(): string {
    return this.#problem
  }

  override warm(): void {
    if (this.#left === null && this.#opening === null && this.#open.length === 0) this.#reconnect.later()
  }

  override open(): void {
    if (this.#left !== null || this.#opening !== null || this.room > 0) return
    if (this.#open.length < this.#options.maxConnections) this.#reconnect.soon()
  }

  override ask(check: PendingCheck): void {
    let lane = this.#open[0]
    for (const other of this.#open) if (lane === undefined || other.connection.room > lane.connection.room) lane = other
    if (lane === undefined) queueMicrotask(() => check.unsent('the connection was lost'))
    else check.attempt = new CheckCall(check, lane, this.#options.encode(check))
  }

  override late({ attempt }: PendingCheck): void {
    if (attempt instanceof CheckCall) attempt.lane.doubt()
  }

  override tend(now: number): void {
    for (const lane of this.#open) lane.tend(now)
  }

  override renew(): void {
    for (const lane of [...this.#open]) lane.retire()
  }

  override probe(timeout: number): Promise<boolean | null> {
    const lane = this.#open[0]
    return lane === undefined ? Promise.resolve(null) : probeGrpc(lane, this.#options.healthService, timeout)
  }

  override leave(): Promise<void> {
    this.#reconnect.stop()
    return new Promise((resolve) => {
      this.#left = resolve
      this.#opening?.connection.close()
      for (const lane of [...this.#open]) lane.retire()
      this.#leaveIfDone()
    })
  }

  override end(): void {
    for (const lane of [this.#opening, ...this.#open, ...this.#draining]) lane?.connection.close()
  }

  laneOpened(lane: GrpcLane): void {
    this.#opening = null
    this.#open.push(lane)
    this.#problem = ''
    this.#listener.changed(this)
  }

  laneRoomier(): void {
    this.#listener.roomier()
  }

  laneChanged(): void {
    this.#listener.changed(this)
  }

  laneDraining(lane: GrpcLane): void {
    const at = this.#open.indexOf(lane)
    if (at === -1) return
    this.#open.splice(at, 1)
    this.#draining.add(lane)
    const [oldest] = this.#draining
    if (this.#draining.size > maxDraining) oldest?.connection.close()
    this.#lost(lane, 'the endpoint takes no more calls on its connection')
  }

  laneClosed(lane: GrpcLane, problem: string): void {
    if (this.#draining.delete(lane)) {
      this.#leaveIfDone()
      return
    }
    if (this.#opening === lane) this.#opening = null
    const at = this.#open.indexOf(lane)
    if (at !== -1) this.#open.splice(at, 1)
    this.#lost(lane, lane.everOpened ? `the connection was lost: ${problem}` : `cannot connect: ${problem}`)
    this.#leaveIfDone()
  }

  #connect(): void {
    if (this.#left !== null || this.#opening !== null) return
    const { connect, openConnection, authority } = this.#options
    this.#opening = new GrpcLane(this, openConnection, connect(this.target), authority)
  }

  /** One that closes as soon as it has opened is no better than one that does not open. */
  #lost(lane: GrpcLane, problem: string): void {
    this.#problem = problem
    if (lane.proven) this.#reconnect.succeeded()
    else this.#reconnect.failed()
    if (this.#left === null && this.#open.length === 0) this.#reconnect.later()
    this.#listener.changed(this)
  }

  #leaveIfDone(): void {
    if (this.#opening === null && this.#open.length === 0 && this.#draining.size === 0) this.#left?.()
  }
}

/** The headers that tell a deadline, made anew only when its milliseconds are others. */
class DeadlineHeaders {
  #ms = 0
  #headers: readonly string[] = []

  for(left: number): readonly string[] {
    const ms = Math.ceil(left)
    if (ms === this.#ms) return this.#headers
    this.#ms = ms
    this.#headers = ['grpc-timeout', printGrpcTimeout(ms), 'x-envoy-expected-rq-timeout-ms', String(ms)]
    return this.#headers
  }
}

const deadlineHeaders = new DeadlineHeaders()

const refusedTwice = 'the provider refused the call twice without processing it'

/** One check on a connection. */
class CheckCall implements UnaryCall, Attempt {
  readonly path = checkPath
  readonly lane: GrpcLane
  readonly message: Buffer
  readonly callHeaders: readonly string[]
  readonly #check: PendingCheck
  readonly #call: Cancellable

  constructor(check: PendingCheck, lane: GrpcLane, message: Buffer) {
    this.#check = check
    this.lane = lane
    this.message = message
    this.callHeaders = deadlineHeaders.for(check.left)
    this.#call = lane.connection.call(this)
  }

  get headers(): readonly string[] {
    return this.lane.headers
  }

  cancel(): void {
    this.#call.cancel()
  }

  ended(end: UnaryEnd): void {
    switch (end.kind) {
      case 'answered': {
        this.lane.heard()
        const { outcome, endpointFailed } = judgeCheckAnswer(end)
        this.#check.answered(outcome, endpointFailed)
        break
      }
      case 'lost':
        this.#check.answered(failure('unavailable', `the stream ended without an answer (code ${end.code})`), true)
        break
      case 'notProcessed':
        // A connection that is over takes no part in what comes next; one that stays and refuses does.
        this.#check.notProcessed(refusedTwice, this.lane.connection.room > 0)
        break
      case 'unsent':
        this.#check.unsent('the connection was lost')
        break
      default:
        end satisfies never
    }
  }
}
