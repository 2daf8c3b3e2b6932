/** What a curl command line would send. */
export interface CurlRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | null
}

/** Options that take a value and do not change the request that a policy sees. */
const ignoredWithValue = new Set([
  ...['-o', '--output', '-w', '--write-out', '--cacert', '--cert', '--key', '--connect-timeout', '-m', '--max-time'],
  ...['--resolve', '--connect-to', '--retry', '-x', '--proxy', '-E'],
])
const ignored = new Set([
  ...['-s', '--silent', '-S', '--show-error', '-v', '--verbose', '-i', '--include', '-k', '--insecure', '-L'],
  ...['--location', '--fail', '-f', '--compressed', '-g', '--globoff', '--http1.1', '-N', '--no-buffer'],
])

/** Reads `curl ...` as a shell would split it. A message where it cannot be read. */
export function parseCurl(text: string): CurlRequest | { readonly problem: string } {
  const words = splitShell(text)
  if (words === null) return { problem: 'a quote is not closed' }
  if (words[0] === 'curl') words.shift()
  const headers: [string, string][] = []
  const data: string[] = []
  let method: string | null = null
  let url: string | null = null
  let query = false
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string
    const attached = /^-[XHdAbuo]./.test(word) ? word.slice(2) : null
    const value = () => attached ?? words[++i] ?? ''
    switch (attached === null ? word : word.slice(0, 2)) {
      case '-X':
      case '--request':
        method = value()
        break
      case '-H':
      case '--header': {
        const line = value()
        const colon = line.indexOf(':')
        if (colon < 1) return { problem: `\`${line}\` is no header line` }
        headers.push([line.slice(0, colon), line.slice(colon + 1).trim()])
        break
      }
      case '-d':
      case '--data':
      case '--data-raw':
      case '--data-binary':
      case '--json': {
        if (word === '--json') headers.push(['content-type', 'application/json'], ['accept', 'application/json'])
        const body = value()
        if (body.startsWith('@')) return { problem: 'a body from a file (`@`) is not read: write it out' }
        data.push(body)
        break
      }
      case '-A':
      case '--user-agent':
        headers.push(['user-agent', value()])
        break
      case '-b':
      case '--cookie':
        headers.push(['cookie', value()])
        break
      case '-u':
      case '--user':
        headers.push(['authorization', `Basic ${Buffer.from(value()).toString('base64')}`])
        break
      case '--oauth2-bearer':
        headers.push(['authorization', `Bearer ${value()}`])
        break
      case '-I':
      case '--head':
        method = 'HEAD'
        break
      case '-G':
      case '--get':
        query = true
        break
      case '--path-as-is':
        break
      case '--url':
        url = value()
        break
      default:
        if (ignored.has(word) || /^-[sSvikLfgN]+$/.test(word)) break
        if (ignoredWithValue.has(word)) {
          i++
          break
        }
        if (word.startsWith('-')) return { problem: `the curl option \`${word}\` is not understood` }
        if (url !== null) return { problem: `two URLs: \`${url}\` and \`${word}\`` }
        url = word
    }
  }
  if (url === null) return { problem: 'there is no URL in it' }
  return request(url, { method, headers, data, query })
}

interface Parts {
  readonly method: string | null
  readonly headers: [string, string][]
  readonly data: readonly string[]
  readonly query: boolean
}

function request(url: string, { method, headers, data, query }: Parts): CurlRequest | { readonly problem: string } {
  const match = /^(?:(https?):\/\/)?([^/?#]+)([^#]*)/i.exec(url)
  if (match === null) return { problem: `\`${url}\` is no URL` }
  const given = headers.findIndex(([name]) => name.toLowerCase() === 'host')
  const host = given === -1 ? (match[2] as string) : (headers[given]?.[1] as string)
  if (given !== -1) headers.splice(given, 1)
  const rest = match[3] === '' ? '/' : (match[3] as string)
  const path = rest.startsWith('/') ? rest : `/${rest}`
  const body = data.length === 0 ? null : data.join('&')
  const has = (name: string) => headers.some(([header]) => header.toLowerCase() === name)
  if (body !== null && !query && !has('content-type')) {
    headers.push(['content-type', 'application/x-www-form-urlencoded'])
  }
  if (!has('accept')) headers.push(['accept', '*/*'])
  return {
    method: method ?? (body === null || query ? 'GET' : 'POST'),
    path: query && body !== null ? `${path}${path.includes('?') ? '&' : '?'}${body}` : path,
    host,
    scheme: (match[1] ?? 'http').toLowerCase(),
    headers,
    body: query ? null : body,
  }
}

/** POSIX words: single and double quotes, backslashes, line continuations. Null for an open quote. */
function splitShell(text: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (c === "'" || c === '"') {
      let end = i + 1
      let quoted = ''
      while (end < text.length && text[end] !== c) {
        if (c === '"' && text[end] === '\\' && /["\\$`]/.test(text[end + 1] ?? '')) end++
        quoted += text[end++]
      }
      if (end >= text.length) return null
      word = (word ?? '') + quoted
      i = end
    } else if (c === '\\') {
      const next = text[++i]
      if (next !== '\n' && next !== undefined) word = (word ?? '') + next
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word)
      word = null
    } else {
      word = (word ?? '') + c
    }
  }
  if (word !== null) words.push(word)
  return words
}
