import type { RequestAuthenticator } from '../authn/authentication.ts'
import type { CheckBody, CheckClient, CheckOutcome, CheckPeer, HeaderChange } from '../extauthz/check.ts'
import type { HeaderList } from '../extauthz/client/header-list.ts'
import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import type { Provider, RequestBodyLimit } from '../mesh/provider.ts'
import type { Decider } from '../policy/decider.ts'
import type { ConnectionFacts, Facts } from '../policy/facts.ts'
import type { DelegationEvents } from './delegate.ts'
import type { BoundDelegation } from './delegations.ts'

/** What enforces one workload at one moment. A reload makes new ones; a request keeps those it began with. */
export interface Policies {
  readonly decider: Decider
  /** Null without RequestAuthentication. */
  readonly authenticator: RequestAuthenticator | null
  /** By provider name. A provider without a client counts as unavailable. */
  readonly providers: ReadonlyMap<string, CheckClient>
  /** Absent without any. */
  readonly delegations?: readonly BoundDelegation[] | undefined
  /** Headers that only a provider sets: a client's own are removed before anything looks at them. Absent: none. */
  readonly providerHeaders?: HeaderList
}

/** A connection as policies and providers see it. */
export interface AuthorizedConnection {
  readonly facts: ConnectionFacts
  readonly source: CheckPeer
  readonly destination: CheckPeer
}

/** A request on its way through the chain. Stages change it in place: headers, and at times target and host. */
export interface ChainRequest {
  readonly connection: AuthorizedConnection
  readonly id: string
  /** When it began, in milliseconds since the epoch. */
  readonly time: number
  method: string
  /** The normalized target with its query. */
  path: string
  host: string
  readonly scheme: string
  readonly protocol: string
  readonly headers: HeaderMap
  readonly remoteIp: IpAddress
  readonly body: ChainBody
  /** Whether it will be answered with anything but 404: no provider is asked about what leads nowhere. */
  readonly routed: boolean
  /** Aborts when the client goes away. Asked for only when somebody waits. */
  signal(): AbortSignal
}

export interface ChainBody {
  /** False when the request has none by its framing. */
  readonly present: boolean
  /** Reads what a provider is shown; what was read is still forwarded. */
  buffer(limit: RequestBodyLimit): Promise<BufferedBody>
}

export type BufferedBody =
  | { readonly kind: 'read'; readonly body: CheckBody }
  | { readonly kind: 'tooLarge' }
  | { readonly kind: 'aborted' }

/** A request, those who decide about it, and what has come of that so far. */
export interface Chain {
  readonly request: ChainRequest
  readonly policies: Policies
  readonly asked: (provider: Provider, outcome: CheckOutcome) => void
  readonly events: DelegationEvents
  facts: Facts
  responseChanges: readonly HeaderChange[]
  provider: string | null
  /** The one at whose turn it is, or was last, as `NAMESPACE/NAME`. */
  delegation: string | null
  /** As the client sent it: what a provider changes does not count (Envoy decides it at the head). */
  readonly grpc: boolean
}
