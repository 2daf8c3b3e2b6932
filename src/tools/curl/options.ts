import { suggest } from '../../source/suggest.ts'
import type { Draft } from './draft.ts'
import { urlEncode } from './url-encode.ts'

/** An option of curl: what it does to the request. Those that a policy cannot see do nothing. */
export type CurlOption =
  | { readonly takes: 'nothing'; readonly apply: (draft: Draft) => void }
  /** Gives what is wrong with the value, or null. */
  | { readonly takes: 'value'; readonly apply: (draft: Draft, value: string) => string | null }

const options = new Map<string, CurlOption>()

function flag(names: string, apply: (draft: Draft) => void = () => {}): void {
  for (const name of names.split(' ')) options.set(name, { takes: 'nothing', apply })
}

function value(names: string, apply: (draft: Draft, value: string) => string | null | undefined = () => null): void {
  for (const name of names.split(' ')) {
    options.set(name, { takes: 'value', apply: (draft, text) => apply(draft, text) ?? null })
  }
}

// The request line.
value('-X --request', (draft, text) => {
  draft.method = text
})
value('--url', (draft, text) => setUrl(draft, text))
value('--url-query', (draft, text) => {
  const encoded = encodedData(text.startsWith('+') ? text.slice(1) : text)
  if (encoded === null) return FROM_FILE
  draft.query.push(text.startsWith('+') ? text.slice(1) : encoded)
  return null
})
value('--request-target', (draft, text) => {
  draft.target = text
})
flag('-I --head', (draft) => {
  draft.mode = 'head'
})
flag('-G --get', (draft) => {
  draft.dataInQuery = true
})
flag('--path-as-is', (draft) => {
  draft.pathAsIs = true
})
flag('-g --globoff', (draft) => {
  draft.globbing = false
})

// The protocol.
flag('-0 --http1.0', (draft) => {
  draft.version = 'HTTP/1.0'
})
flag('--http1.1 --http0.9', (draft) => {
  draft.version = 'HTTP/1.1'
})
flag('--http2', (draft) => {
  draft.version = 'HTTP/2 over TLS'
})
flag('--http2-prior-knowledge', (draft) => {
  draft.version = 'HTTP/2'
})
flag('--http3 --http3-only', (draft) => {
  draft.version = 'HTTP/3'
})

// Header lines.
value('-H --header', addHeader)
value('-A --user-agent', (draft, text) => {
  draft.own.set('user-agent', text)
})
value('-e --referer', (draft, text) => {
  draft.own.set('referer', text.replace(/;auto$/, ''))
})
value('-r --range', (draft, text) => {
  draft.own.set('range', `bytes=${text}`)
})
flag('--compressed', (draft) => {
  draft.own.set('accept-encoding', 'deflate, gzip, br, zstd')
})
value('-b --cookie', (draft, text) => {
  if (!text.includes('=')) return `cookies from a file (\`${text}\`) are not read: write \`-b NAME=VALUE\``
  draft.cookies.push(text)
  return null
})
value('-u --user', (draft, text) => {
  draft.user = text.includes(':') ? text : `${text}:`
})
value('--oauth2-bearer', (draft, text) => {
  draft.bearer = text
})

// The body.
value('-d --data --data-ascii --data-binary', (draft, text) =>
  text.startsWith('@') ? FROM_FILE : addData(draft, text, '&'),
)
value('--data-raw', (draft, text) => addData(draft, text, '&'))
value('--data-urlencode', (draft, text) => {
  const encoded = encodedData(text)
  return encoded === null ? FROM_FILE : addData(draft, encoded, '&')
})
value('--json', (draft, text) => {
  if (text.startsWith('@')) return FROM_FILE
  draft.own.set('content-type', 'application/json')
  draft.own.set('accept', 'application/json')
  return addData(draft, text, '')
})
value('-F --form', (draft, text) => {
  const [, name, content] = /^([^=]*)=(.*)$/s.exec(text) ?? []
  if (name === undefined || content === undefined) return `the form field \`${text}\` has no \`=\``
  if (/^[@<]/.test(content)) return FROM_FILE
  const type = /;type=([^;]*)/.exec(content)?.[1] ?? null
  draft.parts.push({ name, value: content.replace(/;(?:type|filename|encoder|headers)=[^;]*/g, ''), type })
  draft.mode = 'body'
  return null
})
value('--form-string', (draft, text) => {
  const equals = text.indexOf('=')
  if (equals === -1) return `the form field \`${text}\` has no \`=\``
  draft.parts.push({ name: text.slice(0, equals), value: text.slice(equals + 1), type: null })
  draft.mode = 'body'
  return null
})
value('-T --upload-file', () => 'an upload (`-T`) is not read: write `-X PUT` with the body under `-d`')
value('-K --config', () => 'a configuration file (`-K`) is not read: write its options out')

// What no policy sees: output, patience, the way to the server, trust.
flag('-s --silent -S --show-error -v --verbose -i --include --show-headers -f --fail --fail-early --fail-with-body')
flag('-L --location --location-trusted --post301 --post302 --post303 -k --insecure -N --no-buffer -# --progress-bar')
flag(
  '--no-progress-meter -4 --ipv4 -6 --ipv6 -q --disable -n --netrc --netrc-optional -O --remote-name --remote-name-all',
)
flag('-J --remote-header-name -R --remote-time -j --junk-session-cookies --create-dirs --basic --no-keepalive')
flag('-1 --tlsv1 --tlsv1.0 --tlsv1.1 --tlsv1.2 --tlsv1.3 --ssl-reqd --tcp-nodelay --tcp-fastopen --raw --styled-output')
flag(
  '--no-alpn --no-sessionid --retry-connrefused --retry-all-errors --trace-time --trace-ids -Z --parallel --tr-encoding',
)
flag('--compressed-ssh --disallow-username-in-url --haproxy-protocol -p --proxytunnel')
value('-o --output --output-dir -w --write-out -D --dump-header --stderr --trace --trace-ascii -c --cookie-jar')
value('-m --max-time --connect-timeout --expect100-timeout --keepalive-time --retry --retry-delay --retry-max-time')
value('--limit-rate --speed-limit -Y --speed-time -y --max-redirs --max-filesize --parallel-max -z --time-cond')
value('--resolve --connect-to --interface --local-port --dns-servers --doh-url --unix-socket --abstract-unix-socket')
value('-x --proxy --preproxy --noproxy -U --proxy-user --socks5 --socks5-hostname --socks4 --socks4a --proxy-cacert')
value(
  '--cacert --capath -E --cert --cert-type --key --key-type --pass --pinnedpubkey --crlfile --ciphers --tls13-ciphers',
)
value('--tls-max --curves --engine --netrc-file --proto --proto-default --proto-redir --rate --variable --etag-save')

/** With `--no-` before it where it is a flag. */
export function findOption(name: string): CurlOption | null {
  const option = options.get(name)
  if (option !== undefined) return option
  const positive = name.startsWith('--no-') ? options.get(`--${name.slice(5)}`) : undefined
  return positive?.takes === 'nothing' ? { takes: 'nothing', apply: () => {} } : null
}

export function unknownOption(name: string): string {
  const close = name.startsWith('--') ? suggest(name, options.keys()) : null
  return `the curl option \`${name}\` is not understood${close === null ? '' : `; did you mean \`${close}\`?`}`
}

export function setUrl(draft: Draft, url: string): string | null {
  if (draft.url !== null) return `two URLs: \`${draft.url}\` and \`${url}\``
  draft.url = url
  return null
}

const FROM_FILE = 'a body from a file (`@`) is not read: write it out'

function addData(draft: Draft, text: string, separator: string): null {
  draft.data = draft.data === null ? text : draft.data + separator + text
  draft.mode = 'body'
  return null
}

/** `content`, `=content` or `name=content`; null for what is in a file. */
function encodedData(text: string): string | null {
  const [, name, mark, content] = /^([^=@]*)([=@])(.*)$/s.exec(text) ?? []
  if (mark === '@') return null
  if (mark === undefined || content === undefined || name === undefined) return urlEncode(text)
  return name === '' ? urlEncode(content) : `${name}=${urlEncode(content)}`
}

/** `Name: value`, `Name:` to leave curl's own out, `Name;` for an empty value. */
function addHeader(draft: Draft, line: string): string | null {
  if (line.startsWith('@')) return 'headers from a file (`@`) are not read: write them out'
  const [, name, mark, rest] = /^([^:;]+)([:;])(.*)$/s.exec(line) ?? []
  if (name === undefined || rest === undefined || (mark === ';' && rest.trim() !== '')) {
    return 'a header line has no `NAME: VALUE`'
  }
  const text = rest.trim()
  draft.headers.push({ name: name.trim(), value: mark === ':' && text === '' ? null : text })
  return null
}
