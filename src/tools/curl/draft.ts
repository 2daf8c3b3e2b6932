/** What curl's options have asked for so far. Text is as it was written; bytes are made of it at the end. */
export interface Draft {
  url: string | null
  method: string | null
  /** From `-I`, `-G`, a body: what counts when `-X` is absent. */
  mode: 'get' | 'head' | 'body'
  /** Data goes into the query. */
  dataInQuery: boolean
  data: string | null
  query: string[]
  parts: { readonly name: string; readonly value: string; readonly type: string | null }[]
  /** Header lines as given; a null value takes curl's own away. */
  headers: { readonly name: string; readonly value: string | null }[]
  user: string | null
  bearer: string | null
  cookies: string[]
  /** Headers that curl sends of its own accord, unless `headers` says otherwise. */
  readonly own: Map<string, string>
  pathAsIs: boolean
  globbing: boolean
  target: string | null
  version: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2 over TLS' | 'HTTP/2' | 'HTTP/3'
}

export function emptyDraft(): Draft {
  return {
    ...{ url: null, method: null, mode: 'get', dataInQuery: false, data: null, query: [], parts: [], headers: [] },
    ...{ user: null, bearer: null, cookies: [], pathAsIs: false, globbing: true, target: null, version: 'HTTP/1.1' },
    own: new Map([
      ['user-agent', 'curl/8'],
      ['accept', '*/*'],
    ]),
  }
}
