/** The tools as functions, data to data: what the commands `analyze` and `explain` print. */
export { createOfflineKeySource, type KeySource } from '../authn/key-source.ts'
export { analyze } from './analyze/analyze.ts'
export { type CurlRequest, parseCurl } from './curl.ts'
export { createExplainer, type Explainer, type ExplainOptions, type Explanation } from './explain.ts'
export { decodeRequest, isProblem, parseRequest, type RequestProblem, type TestRequest } from './request.ts'
export type { PolicyTrace, Trace, TracedField, TracedRule } from './trace.ts'
