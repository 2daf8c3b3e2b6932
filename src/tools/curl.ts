import { emptyDraft } from './curl/draft.ts'
import { type CurlOption, findOption, setUrl, unknownOption } from './curl/options.ts'
import { requestOf } from './curl/request.ts'
import { splitWords, type Word } from './curl/shell-words.ts'

/** What a curl command line would send. Strings are bytes as Latin-1. */
export interface CurlRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | 'HTTP/3'
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | null
}

/** Reads `curl ...` as a shell and curl would. A message where it cannot be read; files are never opened. */
export function parseCurl(text: string): CurlRequest | { readonly problem: string } {
  const words = splitWords(text)
  if ('problem' in words) return words
  const [first, ...rest] = commandOf(words)
  const args = first !== undefined && /^(?:.*\/)?curl(?:\.exe)?$/.test(first) ? rest : [first, ...rest]
  const draft = emptyDraft()
  const queue = args.filter((word) => word !== undefined)
  let optionsEnded = false
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--' && !optionsEnded) {
      optionsEnded = true
      continue
    }
    if (optionsEnded || !word.startsWith('-') || word === '-') {
      const problem = setUrl(draft, word)
      if (problem !== null) return { problem }
      continue
    }
    if (word === '--next' || word === '-:') return { problem: '`--next` makes several requests: give one' }
    for (const { name, option, attached } of optionsIn(word)) {
      if (option === null) return { problem: unknownOption(name) }
      if (option.takes === 'nothing') {
        option.apply(draft)
        continue
      }
      const value = attached ?? queue.shift()
      if (value === undefined) return { problem: `the curl option \`${name}\` needs a value` }
      const problem = option.apply(draft, value)
      if (problem !== null) return { problem }
    }
  }
  return requestOf(draft)
}

/** Up to the shell's next command, and without what it would redirect. */
function commandOf(words: readonly Word[]): string[] {
  const end = words.findIndex(({ text, bare }) => bare && /^(?:\|\|?|&&?|;)$/.test(text))
  const command = end === -1 ? words : words.slice(0, end)
  return command
    .filter(({ text, bare }, i) => {
      const before = command[i - 1]
      const isTarget = before?.bare === true && /^\d?>>?$/.test(before.text)
      return !isTarget && !(bare && /^(?:\d?>|&>)/.test(text))
    })
    .map(({ text }) => text)
}

interface FoundOption {
  readonly name: string
  readonly option: CurlOption | null
  /** The rest of a word of short options, as in `-XPOST`. */
  readonly attached: string | null
}

/** A long option, or short ones in one word, of which the last may have its value attached. */
function optionsIn(word: string): readonly FoundOption[] {
  if (word.startsWith('--')) return [{ name: word, option: findOption(word), attached: null }]
  const found: FoundOption[] = []
  for (let i = 1; i < word.length; i++) {
    const name = `-${word[i]}`
    const option = findOption(name)
    const takesRest = option?.takes === 'value' && i + 1 < word.length
    found.push({ name, option, attached: takesRest ? word.slice(i + 1) : null })
    if (takesRest || option === null) break
  }
  return found
}
