import type { CheckBody, CheckOutcome, CheckRequest } from '../extauthz/check.ts'
import { applyChanges } from '../extauthz/header-changes.ts'
import type { Provider, RequestBodyLimit } from '../mesh/provider.ts'
import { Facts } from '../policy/facts.ts'
import type { Chain } from './chain.ts'
import type { ReadBody } from './delegate.ts'
import { failsOpen } from './fails-open.ts'
import { textReply } from './local-reply.ts'
import { addMetadata, HTTP_FILTER } from './provider-metadata.ts'
import { denial, failure } from './provider-reply.ts'
import { type Refused, refuse } from './refusal.ts'
import { changeRequestLine } from './request-line.ts'
import { nextStreamId } from './stream-id.ts'

/** Asks the provider that a CUSTOM rule names; null when the request may go on. */
export async function askProvider(chain: Chain, provider: Provider): Promise<Refused | null> {
  chain.provider = provider.name
  const { includeRequestBody } = provider
  const read = includeRequestBody === null ? NOTHING_READ : await readBody(chain, includeRequestBody)
  if (read.kind === 'refused') return read.refusal
  const outcome = await check(chain, provider, read.body)
  chain.asked(provider, outcome)
  return settle(chain, provider, outcome)
}

const NOTHING_READ = { kind: 'read', body: null } as const

/** What of the body a provider is shown. */
export async function readBody(chain: Chain, limit: RequestBodyLimit): Promise<ReadBody<Refused>> {
  const { body } = chain.request
  if (!body.present) return NOTHING_READ
  const buffered = await body.buffer(limit)
  switch (buffered.kind) {
    case 'read':
      return buffered
    case 'tooLarge': {
      const reply = textReply(413, 'Payload Too Large')
      return { kind: 'refused', refusal: refuse(chain, 'custom', reply, 'request_payload_too_large') }
    }
    case 'aborted':
      return { kind: 'refused', refusal: refuse(chain, 'custom', textReply(400, ''), 'downstream_remote_disconnect') }
    default:
      return buffered satisfies never
  }
}

/** Acts on a provider's answer; null when the request may go on. */
export function settle(chain: Chain, provider: Provider, outcome: CheckOutcome): Refused | null {
  const { request } = chain
  switch (outcome.kind) {
    case 'allow': {
      const applied =
        applyChanges(request.headers, outcome.changes) &&
        changeRequestLine(request, outcome.rewrite, outcome.queryChanges)
      if (!applied) return refuse(chain, 'custom', textReply(500, ''), 'ext_authz_invalid')
      // Envoy's filters see an answer in the opposite order: the changes of the first are made last.
      chain.responseChanges = [...outcome.responseChanges, ...chain.responseChanges]
      const { claims, metadata } = chain.facts
      chain.facts = Facts.ofRequest(request.connection.facts, request)
      chain.facts.claims = claims
      chain.facts.metadata = metadata
      addMetadata(chain.facts, HTTP_FILTER, outcome)
      return null
    }
    case 'deny': {
      const reply = denial(outcome)
      return reply === null
        ? refuse(chain, 'custom', textReply(500, ''), 'ext_authz_invalid')
        : refuse(chain, 'custom', reply, 'ext_authz_denied')
    }
    case 'error': {
      if (failsOpen(provider, outcome.reason)) return null
      const { reply, details } = failure(outcome, provider)
      return refuse(chain, 'custom', reply, details)
    }
    default:
      return outcome satisfies never
  }
}

function check(chain: Chain, provider: Provider, body: CheckBody | null): CheckOutcome | Promise<CheckOutcome> {
  const client = chain.policies.providers.get(provider.name)
  if (client === undefined) return { kind: 'error', reason: 'unavailable', message: 'the provider has no client' }
  return client.check(questionOf(chain, body), chain.request.signal())
}

/** All that a provider may be told, as the request is now. */
export function questionOf({ request }: Chain, body: CheckBody | null): CheckRequest {
  const { method, path, host, scheme, protocol, headers, remoteIp, connection, time } = request
  const { source, destination } = connection
  const id = nextStreamId()
  return { source, destination, time, http: { id, method, path, host, scheme, protocol, headers, remoteIp, body } }
}
