import { randomUUID } from 'node:crypto'
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, type RequestListener, request } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

export interface Answer {
  /** Of the request: its `x-request-id`. */
  readonly id: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

const PATIENCE = 10_000

/** One request on a connection of its own. */
export function ask(port: number, path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const id = randomUUID()
    const fields = { 'x-request-id': id, ...headers, ...length }
    const options = { host: '127.0.0.1', port, path, method, agent: false, headers: fields }
    const message = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        const { statusCode = 0, headers } = response
        resolve({ id, status: statusCode, headers, body: Buffer.concat(chunks).toString() })
      })
    })
    message.setTimeout(PATIENCE, () => message.destroy(new Error(`no answer to ${method} ${path}`)))
    message.once('error', reject)
    message.end(body)
  })
}

/** What an `echo` application saw. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string | undefined>
  readonly body: string
}

/** Answers with what arrived. */
export const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.once('end', () => {
    const { method, url, headers } = request
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }))
  })
}

export function seen(answer: Answer): Seen {
  return JSON.parse(answer.body)
}

/** What a TCP peer sends until it ends or resets the connection; `text` goes first, then the connection half-closes. */
export function converse(port: number, text: string): Promise<string> {
  return listenTo(connect({ host: '127.0.0.1', port, allowHalfOpen: true }), text)
}

export function listenTo(socket: Duplex, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(Buffer.concat(chunks).toString())
    }
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end after ${JSON.stringify(Buffer.concat(chunks).toString())}`))
    }, PATIENCE)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('end', finish)
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return finish()
      clearTimeout(timer)
      reject(error)
    })
    socket.end(text)
  })
}
