/** RFC 9110, section 9.2.2. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request may be made again when nobody knows what became of the first. */
export function isIdempotent(method: string): boolean {
  return methods.has(method)
}
