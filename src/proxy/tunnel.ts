import type { Duplex } from 'node:stream'
import { sendLastBytes } from '../extauthz/last-bytes.ts'
import type { Permit } from './authorize.ts'
import { upstreamRequest } from './forward.ts'
import type { HeldBytes } from './held-bytes.ts'
import { withoutHopByHop } from './hop-by-hop.ts'
import { textReply } from './local-reply.ts'
import { forwardedLines, rawHead, rawReply } from './reply.ts'
import { splice } from './splice.ts'
import type { Upstream, UpstreamExchange } from './upstream.ts'
import { failureBody, type UpstreamFailure } from './upstream-failure.ts'

export interface TunnelEvents {
  answered(status: number): void
  failed(failure: UpstreamFailure): void
}

/**
 * Asks the endpoint for the upgrade and joins the two sockets when it agrees. Nothing that the client sent behind its
 * request reaches the endpoint before that: until then it would be read as another request.
 */
export function tunnel(
  permit: Permit,
  client: Duplex,
  early: HeldBytes,
  upstream: Upstream,
  events: TunnelEvents,
): void {
  let exchange: UpstreamExchange | null = null
  const cancel = () => exchange?.cancel()
  client.once('close', cancel)
  exchange = upstream.upgrade(upstreamRequest(permit, null), 'websocket', {
    onUpgrade(headers, socket) {
      client.off('close', cancel)
      events.answered(101)
      const lines = forwardedLines(101, withoutHopByHop(headers), permit.responseChanges)
      client.write(rawHead(101, '', [...lines, 'connection', 'Upgrade', 'upgrade', 'websocket']))
      early.putBack()
      splice(client, socket)
    },
    onAnswer(status, reason, headers, body) {
      events.answered(status)
      const lines = forwardedLines(status, withoutHopByHop(headers), permit.responseChanges)
      client.write(rawHead(status, reason, [...lines, 'connection', 'close']))
      void relay(body, client)
    },
    onFailure(failure) {
      client.off('close', cancel)
      events.failed(failure)
      events.answered(503)
      sendLastBytes(client, rawReply(textReply(503, failureBody(failure)), permit.responseChanges))
    },
  })
}

/** The body of an answer that refused the upgrade; without a length it ends with the connection. */
async function relay(body: AsyncIterable<Uint8Array>, client: Duplex): Promise<void> {
  try {
    for await (const chunk of body) {
      if (!client.write(chunk)) await new Promise((resolve) => client.once('drain', resolve).once('close', resolve))
      if (client.destroyed) return
    }
    sendLastBytes(client)
  } catch {
    client.destroy()
  }
}
