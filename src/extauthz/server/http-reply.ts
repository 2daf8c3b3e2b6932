import type { IncomingMessage, ServerResponse } from 'node:http'
import { discardRest } from '../last-bytes.ts'
import type { HttpAnswer } from './http-answer.ts'

export function sendAnswer(response: ServerResponse, { status, rawHeaders, body }: HttpAnswer): void {
  if (response.headersSent || response.closed) return
  const bodiless = status === 204 || status === 304
  // Neither Connection nor Keep-Alive: a proxy that relays the headers of a denial would pass them on.
  if (response.shouldKeepAlive) response.removeHeader('connection')
  response.writeHead(status, bodiless ? [...rawHeaders] : [...rawHeaders, 'content-length', String(body.length)])
  response.end(bodiless ? undefined : body)
}

/** Refuses without a verdict, and ends the connection: the rest of the request is not wanted. */
export function sendStatus(message: IncomingMessage, response: ServerResponse, status: number): void {
  response.shouldKeepAlive = false
  response.writeHead(status, ['content-length', '0', 'connection', 'close'])
  response.end()
  discardRest(message)
}
