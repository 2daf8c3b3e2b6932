import { type CelFunc, CelScalar, celEnv, celFunc, celMethod, isCelError } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import { blockContains, parseIp, parseIpBlock } from '../../match/ip.ts'
import { boundText, type CelBudget } from './cel-budget.ts'

const { BOOL, BYTES, INT, STRING } = CelScalar

/** Called in place of the condition of each macro's loop; nobody can write its name. */
export const STEP = '@step'

/** What expressions have besides the standard library. */
export function functionsOf(budget: CelBudget): CelFunc[] {
  return [
    ...strings,
    celMethod('replace', STRING, [STRING, STRING], STRING, function (from, to) {
      return replace(this, from, to, Number.POSITIVE_INFINITY)
    }),
    celMethod('replace', STRING, [STRING, STRING, INT], STRING, function (from, to, count) {
      return replace(this, from, to, count < 0n ? Number.POSITIVE_INFINITY : Number(count))
    }),
    celMethod('matches', STRING, [STRING], BOOL, function (pattern) {
      return matches(this, pattern)
    }),
    celFunc('base64.decode', [STRING], BYTES, decodeBase64),
    celFunc('base64.encode', [BYTES], STRING, (bytes) => Buffer.from(bytes).toString('base64')),
    celFunc('isCIDR', [STRING], BOOL, (text) => parseIpBlock(text) !== null),
    celFunc('isIP', [STRING], BOOL, (text) => parseIp(text) !== null),
    celFunc('cidr', [STRING], STRING, (text) => {
      if (parseIpBlock(text) === null) throw new Error('no CIDR block')
      return text
    }),
    celMethod('containsIP', STRING, [STRING], BOOL, containsIp),
    celFunc(STEP, [BOOL], BOOL, (goOn) => {
      budget.step()
      return goOn
    }),
  ]
}

const standard = celEnv().funcs.find('matches')

/** The library's own, on texts that it is done with soon: some patterns take microseconds for each character. */
function matches(text: string, pattern: string): boolean {
  if (text.length > LONGEST_MATCHED) throw new Error(`a text of more than ${LONGEST_MATCHED} characters is not matched`)
  const result = standard?.call(0, text, [pattern])
  if (typeof result === 'boolean') return result
  throw isCelError(result) ? result : new Error('no regular expression')
}

const LONGEST_MATCHED = 64 * 1024

function replace(text: string, from: string, to: string, most: number): string {
  const found = from === '' ? text.length + 1 : text.split(from).length - 1
  const count = Math.min(found, most)
  boundText(text.length + count * Math.max(0, to.length - from.length))
  let out = ''
  let at = 0
  for (let i = 0; i < count; i++) {
    const next = from === '' ? i : text.indexOf(from, at)
    out += text.slice(at, next) + to
    at = next + from.length
  }
  return out + text.slice(at)
}

/** RFC 4648, sections 4 and 5, with or without padding. */
function decodeBase64(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw new Error('no base64')
  return new Uint8Array(Buffer.from(text, 'base64'))
}

function containsIp(this: string, text: string): boolean {
  const block = parseIpBlock(this)
  const address = parseIp(text)
  if (block === null) throw new Error('no CIDR block')
  if (address === null) throw new Error('no IP address')
  return blockContains(block, address)
}
