import { parseIpBlock } from '../../match/ip.ts'
import type { Path } from '../../source/document.ts'
import { ofUnusableValue, type RuleUse } from './consequence.ts'
import type { Findings } from './findings.ts'

/** Checks one list of values; `path` leads to the list, `field` is what Istio calls it. */
export type ValuesCheck = (
  findings: Findings,
  path: Path,
  field: string,
  values: readonly string[],
  action: RuleUse,
) => void

export const checkNotEmpty: ValuesCheck = (findings, path, field, values) => {
  for (const [index, value] of values.entries()) {
    if (value !== '') continue
    const help = 'remove it; `"*"` matches anything that is present'
    findings.report('SP208', [...path, index], `empty value not allowed, found in ${field}`, help)
  }
}

/** Istio's limits for service accounts. */
const MOST_SERVICE_ACCOUNTS = 16
const LONGEST_SERVICE_ACCOUNT = 320

export const checkServiceAccounts: ValuesCheck = (findings, path, field, values, action) => {
  checkNotEmpty(findings, path, field, values, action)
  if (values.length > MOST_SERVICE_ACCOUNTS) {
    const message = `${field} may not have more than ${MOST_SERVICE_ACCOUNTS} values, found ${values.length}`
    findings.report('SP217', path, message, 'split the rule')
  }
  for (const [index, value] of values.entries()) {
    if (value === '') continue
    const report = (message: string, help: string) => findings.report('SP209', [...path, index], message, help)
    if (value.includes('*')) {
      report(`wildcard not allowed, found in ${field}`, 'name the accounts, or use `namespaces` for all of a namespace')
    } else if (!/^[^/]+(\/[^/]+)?$/.test(value)) {
      const message = `expected format 'serviceAccount' or 'namespace/serviceAccount', found ${JSON.stringify(value)} in ${field}`
      report(message, 'write `NAME` or `NAMESPACE/NAME`; a full principal belongs in `principals`')
    } else if (Buffer.byteLength(value) > LONGEST_SERVICE_ACCOUNT) {
      report(
        `value cannot exceed ${LONGEST_SERVICE_ACCOUNT} characters (in UTF-8), found in ${field}`,
        'no account has such a name',
      )
    }
  }
}

/** One wildcard at most, first or last. */
export const checkWildcards: ValuesCheck = (findings, path, field, values, action) => {
  checkNotEmpty(findings, path, field, values, action)
  for (const [index, value] of values.entries()) {
    const stars = value.split('*').length - 1
    const at = `found in ${field}: ${JSON.stringify(value)}`
    if (stars > 1) {
      findings.report('SP210', [...path, index], `at most one wildcard is allowed, ${at}`, 'write several values')
    } else if (stars === 1 && !value.startsWith('*') && !value.endsWith('*')) {
      const help = 'write `NAME*`, `*NAME` or `*`'
      findings.report('SP210', [...path, index], `wildcard is only allowed at the start or end, ${at}`, help)
    }
  }
}

export const checkTrustDomains: ValuesCheck = (findings, path, field, values, action) => {
  checkWildcards(findings, path, field, values, action)
  for (const [index, value] of values.entries()) {
    if (!value.includes('/')) continue
    const message = `trust domain must not contain '/', found in ${field}: ${JSON.stringify(value)}`
    findings.report('SP210', [...path, index], message, `write \`${value.slice(0, value.indexOf('/'))}\``)
  }
}

export const checkIps: ValuesCheck = (findings, path, field, values, action) => {
  checkNotEmpty(findings, path, field, values, action)
  const usable = values.map((value) => parseIpBlock(value) !== null)
  const effect = ofUnusableValue(action, usable.includes(true))
  for (const [index, value] of values.entries()) {
    if (value !== '' && usable[index] === false) {
      const what = value.includes('/') ? 'bad CIDR range' : 'bad IP address'
      const message = `${what} (${value}): ${effect}`
      findings.report(
        'SP211',
        [...path, index],
        message,
        'write an address or a range: `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`',
      )
    }
  }
}

export const checkPorts: ValuesCheck = (findings, path, field, values, action) => {
  checkNotEmpty(findings, path, field, values, action)
  const usable = values.map((value) => /^[0-9]+$/.test(value) && Number(value) <= 65535)
  const effect = ofUnusableValue(action, usable.includes(true))
  for (const [index, value] of values.entries()) {
    if (value === '' || usable[index] === true) continue
    findings.report(
      'SP212',
      [...path, index],
      `bad port (${value}): ${effect}`,
      'write one number from 0 to 65535; ranges and names are not supported',
    )
  }
}

const ONE = '{*}'
const ANY = '{**}'
/** RFC 3986's pchar, which is what Envoy's templates take literally. */
const literal = /^[a-zA-Z0-9-._~%!$&'()+,;:@=]+$/

export const checkPaths: ValuesCheck = (findings, path, field, values, action) => {
  checkNotEmpty(findings, path, field, values, action)
  for (const [index, value] of values.entries()) {
    const problem = templateProblem(value)
    if (problem === null) continue
    const message = `invalid or unsupported path ${value}, found in ${field}. ${problem.message}`
    findings.report('SP213', [...path, index], message, problem.help)
  }
}

function templateProblem(path: string): { readonly message: string; readonly help: string } | null {
  const template = path.includes(ONE) || path.includes(ANY)
  let last = false
  for (const segment of path.replace(/^\/+|\/+$/g, '').split('/')) {
    if (segment === ONE || segment === ANY) {
      if (last) return { message: '{**} is not the last operator', help: 'use `{*}` for the segments before it' }
      last = segment === ANY
      continue
    }
    if (/[{}]/.test(segment)) {
      const help = 'an operator fills a whole segment: `/{*}/` for one, `/{**}` for any number'
      return { message: "Contains '{' or '}' beyond a supported path template", help }
    }
    if (template && !literal.test(segment)) {
      const help = 'in a template, `*` is no wildcard and a segment is not empty: use `{*}` and `{**}` only'
      return { message: `Contains segment ${segment} with invalid string literal`, help }
    }
  }
  return null
}
