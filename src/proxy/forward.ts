import type { ServerResponse } from 'node:http'
import type { Permit } from './authorize.ts'
import { withoutHopByHop } from './hop-by-hop.ts'
import { grpcReply, grpcStatusOf, type LocalReply, textReply } from './local-reply.ts'
import { forwardedLines, writeReply } from './reply.ts'
import type { RequestBody } from './request-body.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'
import { failureBody, type UpstreamFailure } from './upstream-failure.ts'

/**
 * Sends a permitted request to its endpoint and the answer to the client, both as they come, at the pace of the
 * slower side. A client that goes away takes its upstream request with it.
 */
export function forward(
  permit: Permit,
  body: RequestBody,
  response: ServerResponse,
  upstream: Upstream,
  failed: (failure: UpstreamFailure) => void,
): void {
  if (response.destroyed || response.headersSent) return
  let answered = false
  let flowing = false
  // An endpoint that takes no more requests says so before `send` returns.
  let exchange: UpstreamExchange | null = null
  const resume = () => exchange?.resume()
  const cancel = () => exchange?.cancel()
  const sink: UpstreamSink = {
    onHead(status, reason, headers) {
      if (response.headersSent) {
        // The rest of the request could not be read, and its client has been told.
        cancel()
        return
      }
      const lines = forwardedLines(status, withoutHopByHop(headers), permit.responseChanges)
      // A client that still waits for 100 may or may not send its body now: the connection cannot go on.
      if (body.awaitsContinue) response.shouldKeepAlive = false
      response.writeHead(status, reason === '' ? undefined : reason, lines)
      answered = true
      // A stream's head must not wait for its first bytes, and a short answer should go out in one piece.
      setImmediate(() => {
        if (!flowing && !response.destroyed) response.flushHeaders()
      })
    },
    onData(chunk) {
      flowing = true
      if (response.write(chunk)) return true
      response.once('drain', resume)
      return false
    },
    onEnd(trailers) {
      flowing = true
      response.off('close', cancel)
      const kept = trailers.length > 0 ? trailerFields(trailers) : null
      if (kept !== null) response.addTrailers(kept)
      response.end()
      body.discard()
    },
    onFailure(failure) {
      response.off('close', cancel)
      failed(failure)
      if (answered) {
        // The answer has begun: only an aborted connection tells the client that it is not whole.
        response.destroy()
        return
      }
      if (response.headersSent) return
      writeReply(response, failureReply(permit, failure), permit.responseChanges, body.awaitsContinue)
      body.discard()
    },
  }
  response.once('close', cancel)
  exchange = upstream.send(upstreamRequest(permit, body), sink)
}

/** What Envoy's router answers in the application's place. */
function failureReply({ grpc }: Permit, failure: UpstreamFailure): LocalReply {
  const body = failureBody(failure)
  return grpc ? grpcReply(grpcStatusOf(503), body) : textReply(503, body)
}

export function upstreamRequest(permit: Permit, body: RequestBody | null): UpstreamRequest {
  const { body: bytes, contentLength } = body?.forward() ?? { body: null, contentLength: 0 }
  const headers: string[] = []
  for (let i = 0; i < permit.headers.size; i++) {
    const name = permit.headers.nameAt(i)
    if (!FRAMED_HERE.has(name)) headers.push(name, permit.headers.valueAt(i))
  }
  const { method, path, host } = permit
  return { method, path, host, headers, body: bytes, contentLength }
}

/** The endpoint's connection is framed by whoever holds it; an expectation has been answered here. */
const FRAMED_HERE = new Set(['connection', 'content-length', 'expect', 'host', 'transfer-encoding', 'upgrade'])

const NOT_IN_TRAILERS = new Set([...FRAMED_HERE, 'trailer', 'te', 'content-type', 'set-cookie', 'authorization'])

/** RFC 9110, 6.5.1: what frames, routes or authenticates is no trailer field. */
function trailerFields(trailers: readonly string[]): [string, string][] | null {
  const kept: [string, string][] = []
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    if (!NOT_IN_TRAILERS.has(trailers[i] as string)) kept.push([trailers[i] as string, trailers[i + 1] as string])
  }
  return kept.length === 0 ? null : kept
}
