export interface Url {
  readonly scheme: 'http' | 'https'
  /** `USER:PASSWORD`, decoded. */
  readonly user: string | null
  /** With a port that is not the scheme's own. */
  readonly host: string
  readonly path: string
  readonly query: string | null
}

/** Reads a URL as curl does: `http` where there is no scheme, dot segments removed, no fragment. */
export function parseUrl(
  text: string,
  options: { readonly pathAsIs: boolean; readonly globbing: boolean },
): Url | { readonly problem: string } {
  if (/[\s\p{Cc}]/u.test(text)) return { problem: `the URL \`${text}\` holds a space: write %20` }
  if (options.globbing && /[{}]|\[[^\]]*\]/.test(text.replace(/^([^/]*\/\/)?[^/]*@?\[[0-9a-f:.%]+\]/i, ''))) {
    return { problem: `the URL \`${text}\` stands for several requests: write one, or add -g` }
  }
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:([^/?#@]*)@)?([^/?#]+)([^?#]*)(?:\?([^#]*))?/i.exec(text)
  const scheme = (match?.[1] ?? 'http').toLowerCase()
  if (match === null || match[3] === undefined) return { problem: `\`${text}\` is no URL` }
  if (scheme !== 'http' && scheme !== 'https') return { problem: `the scheme \`${scheme}\` is not HTTP` }
  const host = match[3].replace(scheme === 'http' ? /:0*80$/ : /:0*443$/, '').replace(/:$/, '')
  const path = match[4] === undefined || match[4] === '' ? '/' : escaped(match[4])
  return {
    scheme,
    user: match[2] === undefined ? null : userOf(match[2]),
    host,
    path: options.pathAsIs ? path : withoutDots(path),
    query: match[5] === undefined ? null : escaped(match[5]),
  }
}

/** What is not ASCII goes out escaped. */
function escaped(text: string): string {
  return text.replace(/[^\0-\x7f]+/g, (part) => encodeURIComponent(Buffer.from(part, 'utf8').toString('utf8')))
}

function userOf(text: string): string {
  const decoded = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return decoded.includes(':') ? decoded : `${decoded}:`
}

/** RFC 3986, 5.2.4: what curl does before a server sees the path. */
function withoutDots(path: string): string {
  const out: string[] = []
  const segments = path.split('/').slice(1)
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1
    if (segment === '.' || segment === '..') {
      if (segment === '..') out.pop()
      if (last) out.push('')
    } else out.push(segment)
  }
  return `/${out.join('/')}`
}
