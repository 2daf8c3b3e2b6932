/** As `--data-urlencode` writes it: RFC 3986's unreserved characters stay, a space is `+`. */
export function urlEncode(text: string): string {
  // Through UTF-8, so that half a surrogate pair, which has no escape, becomes a replacement character.
  return encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'))
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%20/g, '+')
}
