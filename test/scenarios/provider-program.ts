// An authorization service as a process of its own: NAME GRPC-PORT HTTP-PORT. It allows everything, in a header says who
// it is, and takes as many milliseconds for it as the last line of standard input says.
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { allow, createAuthorizer } from '#src/extauthz/index.ts'

const [name = '', grpc, http] = process.argv.slice(2)
let pause = 0
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
const authorizer = createAuthorizer({
  logger: silent,
  async check() {
    if (pause > 0) await delay(pause)
    return allow({ responseHeaders: { 'x-checked': name } })
  },
})
await authorizer.listen({ grpc: `127.0.0.1:${grpc}`, http: `127.0.0.1:${http}` })
createInterface({ input: process.stdin }).on('line', (line) => {
  pause = Number(line)
  console.log(`takes ${pause}`)
})
console.log('listening')
