// Requests that need no waiting: { known, batches, seconds } in; { none, us: [{ count, us }] } out, in microseconds.
import { answer, task } from '../job.mjs'
import { timeBatches, warmUp } from '../measure.mjs'
import { authenticator, now, requestOf, tokenOf } from './tokens.mjs'

const { known, batches, seconds } = task()
const authenticate = authenticator()

function measure(token) {
  const prepare = (size) => Array.from({ length: size }, () => requestOf(token()))
  const work = (requests) => {
    for (const request of requests) {
      const result = authenticate.authenticate(request, now)
      if (result instanceof Promise || result.kind !== 'accepted') throw new Error('it was not accepted at once')
    }
  }
  warmUp({ prepare, work, batches })
  return timeBatches({ prepare, work, batches, seconds })
}

const none = measure(() => null)
const us = []
const tokens = []
for (const count of known) {
  while (tokens.length < count) tokens.push(tokenOf(tokens.length))
  for (const token of tokens) await authenticate.authenticate(requestOf(token), now)
  us.push({ count, us: measure(() => tokens[Math.floor(Math.random() * count)]) })
}
answer({ none, us })
