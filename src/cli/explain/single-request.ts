import { parseCurl } from '../../tools/curl.ts'
import { decodeRequest, isProblem, parseRequest, type TestRequest } from '../../tools/request.ts'
import { type Args, UsageError } from '../command.ts'
import { InvalidInput, readInput } from '../input.ts'
import type { Io } from '../io.ts'

/** The request of `--curl` or `--request`. Throws UsageError for the one, InvalidInput for the other. */
export async function readSingleRequest(args: Args, io: Io): Promise<TestRequest> {
  const curl = args.value('curl')
  if (curl !== undefined) {
    const parsed = parseCurl(curl)
    if ('problem' in parsed) throw new UsageError(`--curl: ${parsed.problem}`)
    const request = decodeRequest(parsed)
    if (isProblem(request)) throw new UsageError(`--curl: ${request.message}`)
    return request
  }
  const file = args.value('request') ?? '-'
  const request = parseRequest(await readInput(file, io))
  if (isProblem(request)) throw new InvalidInput(`${file}: ${request.message}`)
  return request
}
