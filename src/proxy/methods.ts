/**
 * The methods that Envoy's parser of HTTP/1.1 takes (measured on Envoy 1.40); any other is a malformed request, also one
 * of these in another case. HTTP/2 takes any token.
 */
const methods: ReadonlySet<string> = new Set(
  [
    'GET HEAD POST PUT DELETE PATCH OPTIONS TRACE CONNECT QUERY',
    // WebDAV and its relatives.
    'PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH ACL REPORT MKCALENDAR BIND REBIND UNBIND LINK UNLINK',
    // Versioning, caches, events and streams.
    'CHECKOUT MERGE MKACTIVITY PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE SOURCE',
  ].flatMap((line) => line.split(' ')),
)

export function isHttp1Method(method: string): boolean {
  return methods.has(method)
}
