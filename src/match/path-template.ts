/**
 * Path templates with `{*}` (one segment) and `{**}` (any rest), as Envoy's URI template matcher reads what Istio makes
 * of them. Operators and literals fill whole segments; `{**}` is the last operator, literals may follow it.
 */
export interface PathTemplate {
  readonly text: string
  readonly segments: readonly TemplateSegment[]
}

export type TemplateSegment =
  | { readonly kind: 'literal'; readonly value: string }
  /** One or more template characters. */
  | { readonly kind: 'one' }
  /** Any number of template characters and slashes, also none. */
  | { readonly kind: 'rest' }

/** What a literal may hold: RFC 3986 `pchar` and `%`, without `*`, which is Envoy's operator. */
const literalCharacter = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()+,;:@="

const STAR = 0x2a

export function isPathTemplate(path: string): boolean {
  return path.includes('{*}') || path.includes('{**}')
}

/** Null for a template that Istio's validation refuses (and Envoy could not load). */
export function parsePathTemplate(text: string): PathTemplate | null {
  if (!text.startsWith('/')) return null
  const segments: TemplateSegment[] = []
  let rest = false
  const parts = text.slice(1).split('/')
  for (const [i, part] of parts.entries()) {
    if (part === '{*}') {
      if (rest) return null
      segments.push({ kind: 'one' })
    } else if (part === '{**}') {
      if (rest) return null
      rest = true
      segments.push({ kind: 'rest' })
    } else if (part === '' ? i === parts.length - 1 : isTemplateText(part)) {
      segments.push({ kind: 'literal', value: part })
    } else {
      return null
    }
  }
  return { text, segments }
}

/** Linear in the path's length: each segment is looked at once from each side. */
export function matchesPathTemplate(template: PathTemplate, path: string): boolean {
  const { segments } = template
  let at = 0
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i] as TemplateSegment
    if (path.charCodeAt(at) !== 0x2f) return false
    at++
    if (segment.kind === 'rest') return matchesTail(segments, i + 1, path, at)
    const end = segmentEnd(path, at)
    if (segment.kind === 'one' ? !isTemplateRun(path, at, end, false) : !isLiteral(path, at, end, segment.value)) {
      return false
    }
    at = end
  }
  return at === path.length
}

/** After `{**}` only literals can follow, so they are the end of the path. */
function matchesTail(segments: readonly TemplateSegment[], from: number, path: string, start: number): boolean {
  let end = path.length
  for (let i = segments.length - 1; i >= from; i--) {
    const literal = segments[i] as TemplateSegment
    if (literal.kind !== 'literal') return false
    const begin = end - literal.value.length
    if (begin - 1 < start || path.charCodeAt(begin - 1) !== 0x2f || !path.startsWith(literal.value, begin)) return false
    end = begin - 1
  }
  return isTemplateRun(path, start, end, true)
}

function segmentEnd(path: string, from: number): number {
  const slash = path.indexOf('/', from)
  return slash === -1 ? path.length : slash
}

function isLiteral(path: string, from: number, end: number, value: string): boolean {
  return end - from === value.length && path.startsWith(value, from)
}

const allowed = new Uint8Array(128)
for (const character of literalCharacter) allowed[character.charCodeAt(0)] = 1

/** What an operator matches: the characters of literals, and `*`. */
function isTemplateRun(path: string, from: number, end: number, slashes: boolean): boolean {
  if (!slashes && from === end) return false
  for (let i = from; i < end; i++) {
    const code = path.charCodeAt(i)
    if (allowed[code] !== 1 && code !== STAR && !(slashes && code === 0x2f)) return false
  }
  return true
}

function isTemplateText(text: string): boolean {
  return isTemplateRun(text, 0, text.length, false) && !text.includes('*')
}
