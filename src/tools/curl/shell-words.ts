/** One word of a command line. `bare`: nothing of it was quoted or escaped, so it may be an operator of the shell. */
export interface Word {
  readonly text: string
  readonly bare: boolean
}

/**
 * Splits as a POSIX shell does: quotes, backslashes, line continuations, and the `$'...'` that browsers write. What a
 * shell would have replaced (`$TOKEN`) is a problem, because its value is not known here.
 */
export function splitWords(text: string): readonly Word[] | { readonly problem: string } {
  const splitter = new Splitter(text)
  return splitter.run()
}

class Splitter {
  readonly #text: string
  readonly #words: Word[] = []
  #at = 0
  #word: string | null = null
  #bare = true

  constructor(text: string) {
    this.#text = text
  }

  run(): readonly Word[] | { readonly problem: string } {
    while (this.#at < this.#text.length) {
      const problem = this.#step()
      if (problem !== null) return { problem }
    }
    this.#end()
    return this.#words
  }

  #step(): string | null {
    const c = this.#text[this.#at++] as string
    if (/\s/.test(c)) this.#end()
    else if (c === "'") return this.#quoted(singleQuoted(this.#text, this.#at))
    else if (c === '"') return this.#quoted(doubleQuoted(this.#text, this.#at))
    else if (c === '$' && this.#text[this.#at] === "'") return this.#quoted(ansiQuoted(this.#text, this.#at + 1))
    else if (c === '\\') this.#escaped()
    else {
      const unknown = c === '$' ? expansionAt(this.#text, this.#at - 1) : null
      if (unknown !== null) return unknown
      this.#word = (this.#word ?? '') + c
    }
    return null
  }

  #escaped(): void {
    const next = this.#text[this.#at++]
    if (next === undefined || next === '\n') return
    if (next === '\r' && this.#text[this.#at] === '\n') {
      this.#at++
      return
    }
    this.#word = (this.#word ?? '') + next
    this.#bare = false
  }

  #quoted(quoted: Quoted): string | null {
    if ('problem' in quoted) return quoted.problem
    this.#word = (this.#word ?? '') + quoted.text
    this.#bare = false
    this.#at = quoted.end
    return null
  }

  #end(): void {
    if (this.#word !== null) this.#words.push({ text: this.#word, bare: this.#bare })
    this.#word = null
    this.#bare = true
  }
}

/** What stood between quotes, and where the text goes on. */
type Quoted = { readonly text: string; readonly end: number } | { readonly problem: string }

const OPEN: Quoted = { problem: 'a quote is not closed' }

function singleQuoted(text: string, from: number): Quoted {
  const end = text.indexOf("'", from)
  return end === -1 ? OPEN : { text: text.slice(from, end), end: end + 1 }
}

function doubleQuoted(text: string, from: number): Quoted {
  let quoted = ''
  for (let i = from; i < text.length; i++) {
    const c = text[i] as string
    if (c === '"') return { text: quoted, end: i + 1 }
    if (c === '$') {
      const problem = expansionAt(text, i)
      if (problem !== null) return { problem }
    }
    if (c === '\\' && /["\\$`\n]/.test(text[i + 1] ?? '')) {
      i++
      if (text[i] !== '\n') quoted += text[i]
    } else quoted += c
  }
  return OPEN
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', e: '\x1b', f: '\f', v: '\v' },
  ...{ '\\': '\\', "'": "'", '"': '"', '?': '?' },
}

/** `$'...'`, with the escapes of C. */
function ansiQuoted(text: string, from: number): Quoted {
  let quoted = ''
  for (let i = from; i < text.length; i++) {
    const c = text[i] as string
    if (c === "'") return { text: quoted, end: i + 1 }
    if (c !== '\\') {
      quoted += c
      continue
    }
    const code = /^(?:x([0-9a-f]{1,2})|u([0-9a-f]{1,4})|([0-7]{1,3}))/i.exec(text.slice(i + 1, i + 6))
    if (code !== null) {
      quoted += String.fromCharCode(
        code[3] === undefined ? parseInt(code[1] ?? code[2] ?? '', 16) : parseInt(code[3], 8),
      )
      i += code[0].length
      continue
    }
    const next = text[++i] ?? ''
    quoted += ESCAPES[next] ?? `\\${next}`
  }
  return OPEN
}

function expansionAt(text: string, at: number): string | null {
  const match = /^\$(?:[A-Za-z_]\w*|\{[^}]*\}?|\()/.exec(text.slice(at, at + 100))
  return match === null ? null : `\`${match[0]}\` stands for what only your shell knows: write its value`
}
