import path from 'node:path'
import { root } from '../command.mjs'
import { token } from './requests.mjs'

/** Colours on a terminal, plain text elsewhere. */
export function paintFor(out, env = process.env) {
  const on = out.isTTY === true && (env.NO_COLOR ?? '') === ''
  const paint = (code) => (text) => (on ? `\x1b[${code}m${text}\x1b[0m` : text)
  return { bold: paint(1), dim: paint(2), red: paint(31), green: paint(32) }
}

export function intro(url, files, paint) {
  const folder = path.relative(root, files)
  return [
    '',
    `${paint.bold('An application behind a sidecar')} at ${url}`,
    `  policy      ${folder}/mesh.yaml: every path but /ip is delegated to the provider opa.local`,
    `  authorizer  ${folder}/authorizer.ts: the token must name a prefix of the path`,
    '',
    '',
  ].join('\n')
}

/** What was asked, what the answer was, and why. */
export function outcome(number, { request, answer, decision }, trace, paint) {
  const allowed = answer.status < 400
  const status = (allowed ? paint.green : paint.red)(paint.bold(String(answer.status)))
  const what = `GET ${request.path}${request.token === null ? ' without a token' : ' with the token'}`
  const lines = [`${number}. ${paint.bold(what)}`, `   ${status}${allowed ? '' : ` ${answer.body.trim()}`}`]
  for (const why of reasons(decision, trace, answer)) lines.push(paint.dim(`   ${why}`))
  if (answer.status !== request.expected) lines.push(paint.red(`   expected ${request.expected}`))
  return `${lines.join('\n')}\n\n`
}

function reasons(decision, trace, answer) {
  if (decision === null) return ['the decision log has no line for it']
  const custom = (trace?.policies ?? []).filter((policy) => policy.action === 'CUSTOM' && policy.reached)
  const rules = custom.flatMap((policy) => policy.rules.map((rule, index) => ruleLine(policy, rule, index)))
  const said = answer.body.trim()
  if (decision.provider === undefined) {
    return [
      ...rules,
      decision.decision === 'allow' ? 'so nobody is asked, and no policy refuses it' : refusal(decision),
    ]
  }
  if (decision.decision === 'allow') return [...rules, `so ${decision.provider} is asked: it allows`]
  if (decision.phase === 'custom' && decision.details === 'ext_authz_denied') {
    return [...rules, `so ${decision.provider} is asked: it denies${said === '' ? '' : ` ("${said}")`}`]
  }
  return [...rules, refusal(decision)]
}

function ruleLine(policy, rule, index) {
  const name = `CUSTOM ${policy.policy} rule[${index}]`
  const place = `${path.relative(root, path.resolve(root, policy.file))}:${policy.line}`
  if (rule.matched) return `${name} matches (${place})`
  const [failed] = rule.failed
  const field = failed === undefined ? '' : `: ${failed.field} has ${JSON.stringify(failed.actual)}`
  return `${name} does not match (${place})${field}`
}

function refusal({ phase, policy, details }) {
  return `refused in phase ${phase}${policy === null ? '' : ` by ${policy}`}${details === null ? '' : ` (${details})`}`
}

export function curlLines(url, paint) {
  return [
    paint.bold('Try it') + paint.dim(' (Ctrl-C ends it; decisions appear below)'),
    `  TOKEN=${token}`,
    `  curl -i ${url}/headers`,
    `  curl -i -H "Authorization: Bearer $TOKEN" ${url}/get`,
    `  curl -i -H "Authorization: Bearer $TOKEN" ${url}/headers`,
    `  curl -i ${url}/ip`,
    '',
    '',
  ].join('\n')
}

/** One line of the decision log for people to follow; what is no such line is passed on. */
export function served(line, paint) {
  try {
    const { request, decision, status, policy, details, provider } = JSON.parse(line)
    const verdict = decision === 'allow' ? paint.green('allow') : paint.red(decision)
    const why = [provider, policy, details].filter((part) => typeof part === 'string').join(' ')
    return `  ${verdict} ${status ?? ''} ${request.method ?? 'TCP'} ${request.path ?? ''} ${paint.dim(why)}\n`
  } catch {
    return `${line}\n`
  }
}
