/** RFC 7541, appendix A: names with their values, from index 1 on; names without a value have an empty one. */
const rows: readonly (readonly [name: string, ...values: string[]])[] = [
  [':authority', ''],
  [':method', 'GET', 'POST'],
  [':path', '/', '/index.html'],
  [':scheme', 'http', 'https'],
  [':status', '200', '204', '206', '304', '400', '404', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    ...['accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow', 'authorization'],
    ...['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-length'],
    ...['content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expect', 'expires', 'from'],
    ...['host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified'],
    ...['link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization', 'range', 'referer', 'refresh'],
    ...['retry-after', 'server', 'set-cookie', 'strict-transport-security', 'transfer-encoding', 'user-agent', 'vary'],
    ...['via', 'www-authenticate'],
  ].map((name): readonly [string, string] => [name, '']),
]

const fields = rows.flatMap(([name, ...values]) => values.map((value) => ({ name, value })))

/** By index; place 0 is none. */
export const staticNames: readonly string[] = ['', ...fields.map(({ name }) => name)]
export const staticValues: readonly string[] = ['', ...fields.map(({ value }) => value)]

export const STATIC_COUNT = fields.length

export interface StaticName {
  /** The first index of the name. */
  readonly index: number
  readonly byValue: ReadonlyMap<string, number>
}

export const staticByName: ReadonlyMap<string, StaticName> = new Map(
  [...new Set(staticNames.slice(1))].map((name) => {
    const index = staticNames.indexOf(name)
    const places = staticNames.flatMap((one, i): [string, number][] =>
      one === name ? [[staticValues[i] as string, i]] : [],
    )
    return [name, { index, byValue: new Map(places) }]
  }),
)
