import type { Authorizer, Check, Checks, MultiHeaders } from '../extauthz/index.ts'
import { judgeOf } from '../extauthz/server/authorizer.ts'
import { type Answered, askOverGrpc, askOverHttp, type HttpLists } from '../extauthz/server/in-process.ts'
import { createJudge, type Judge, unobserved } from '../extauthz/server/judge.ts'
import { applyOutcome, type CheckResult, type ConnectionResult } from './check-result.ts'
import { createProblems, type Problems } from './problems.ts'
import { askAbout, askAboutConnection, headerMap, type TestConnection, type TestRequest } from './test-request.ts'

/** An authorizer, what one is made from, or the default export of a module for `sallyport authorizer`. */
export type Subject = Authorizer | Checks | Check

export interface CheckOptions {
  /** Which form of the protocol is spoken; default `grpc`. */
  readonly form?: 'grpc' | 'http'
  /** Milliseconds that the check may take, default 1000. An authorizer has its own. */
  readonly timeout?: number
  /** As the provider's configuration has it: what becomes of a request when there is no answer. Default false. */
  readonly failOpen?: boolean
  /** As the provider's configuration has it; default 403. */
  readonly statusOnError?: number
  /** What the application would answer with: the answer may change it. Default none. */
  readonly responseHeaders?: MultiHeaders
  /** With `form: 'http'`, the provider's lists of headers, in Istio's notation. Default: all headers, in each direction. */
  readonly http?: HttpLists
}

/**
 * What becomes of a request. Never rejects because of the check: what it throws refuses, as in production, and is told in
 * `problem`. Throws TypeError when `subject` is nothing to ask.
 */
export async function check(
  subject: Subject,
  request: TestRequest = {},
  options: CheckOptions = {},
): Promise<CheckResult> {
  const { form = 'grpc', failOpen = false, statusOnError = 403, responseHeaders = {}, http = {} } = options
  const { judge, problems } = prepare(subject, options.timeout)
  const asked = askAbout(request)
  const { outcome, metadata }: Answered =
    form === 'http'
      ? await askOverHttp(judge, asked, http)
      : await askOverGrpc(judge, asked, { contextExtensions: request.contextExtensions ?? {}, sni: '' })
  const application = { failOpen, statusOnError, responseHeaders: headerMap(responseHeaders) }
  return { ...applyOutcome(asked.http, outcome, application), metadata, problem: problems.text() }
}

/** What becomes of a TCP connection, which only the gRPC form can ask about. */
export async function checkConnection(
  subject: Subject,
  connection: TestConnection = {},
  options: Pick<CheckOptions, 'timeout'> = {},
): Promise<ConnectionResult> {
  const { judge, problems } = prepare(subject, options.timeout)
  const { contextExtensions = {}, sni = '' } = connection
  const { outcome, metadata } = await askOverGrpc(judge, askAboutConnection(connection), { contextExtensions, sni })
  const failure = outcome.kind === 'error' ? outcome.message : null
  return { decision: outcome.kind, metadata, failure, problem: problems.text() }
}

function prepare(subject: Subject, timeout = 1000): { readonly judge: Judge; readonly problems: Problems } {
  const problems = createProblems()
  if (typeof subject === 'function')
    return { judge: createJudge({ check: subject }, timeout, problems.logger, unobserved), problems }
  const known = 'listen' in subject ? judgeOf(subject) : null
  if (known !== null) return { judge: known, problems }
  if (!('check' in subject) || typeof subject.check !== 'function') {
    throw new TypeError('check: the first argument must be an authorizer, a check, or an object with a check')
  }
  return { judge: createJudge(subject, timeout, problems.logger, unobserved), problems }
}
