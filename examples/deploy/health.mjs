// Asks grpc.health.v1.Health whether a server serves, and exits with 0 when it does: for whoever can only run a program.
//   node health.mjs [HOST:PORT] [MILLISECONDS]
import { connect } from 'node:http2'

const [address = '127.0.0.1:9191', milliseconds = '1000'] = process.argv.slice(2)
const timer = setTimeout(() => end('no answer in time'), Number(milliseconds))
const session = connect(`http://${address}`).on('error', ({ code }) => end(code))
const call = session.request({
  ':method': 'POST',
  ':path': '/grpc.health.v1.Health/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
})
const chunks = []
// An empty message asks about the whole server; the answer's first field is its state, and 1 is SERVING.
call.on('error', () => {}).on('data', (chunk) => chunks.push(chunk))
call.on('end', () => end(Buffer.concat(chunks).equals(Buffer.from([0, 0, 0, 0, 2, 8, 1])) ? null : 'not serving'))
call.end(Buffer.alloc(5))

function end(problem) {
  clearTimeout(timer)
  session.destroy()
  process.stdout.write(`${problem ?? 'serving'}\n`)
  process.exitCode = problem === null ? 0 : 1
}
