import { request as send } from 'node:http'

const TIMEOUT_MS = 10_000
const BODY_LIMIT = 64 * 1024

/** HS256 with the secret `secret`; its claim `path` is the base64 of `/headers`. Valid until 2030. */
export const token =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJwYXRoIjoiTDJobFlXUmxjbk09IiwibmJmIjoxNTAwMDAwMDAwLCJleHAiOjE5MDAwMDAwMDB9.9yl8LcZdq-5UpNLm0Hn0nnoBHXXAnK4e8RSl9vn6l98'

/** What is asked, and the status that the example promises. */
export const requests = [
  { path: '/headers', token: null, expected: 403 },
  { path: '/get', token, expected: 403 },
  { path: '/headers', token, expected: 200 },
  { path: '/ip', token: null, expected: 200 },
]

/** Sends one request on a connection of its own; resolves to its status and body. */
export function ask(url, { path, token: bearer }) {
  const headers = bearer === null ? {} : { authorization: `Bearer ${bearer}` }
  return new Promise((resolve, reject) => {
    const outgoing = send(`${url}${path}`, { headers, agent: false, timeout: TIMEOUT_MS }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text) => {
        body = (body + text).slice(0, BODY_LIMIT)
      })
      answer.once('end', () => resolve({ status: answer.statusCode, body }))
      answer.once('error', reject)
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer to GET ${path} after ${TIMEOUT_MS / 1000} s`)))
    outgoing.once('error', reject)
    outgoing.end()
  })
}
