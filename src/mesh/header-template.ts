/** A header's value with Envoy's variables (`%REQ(x-user)%`), of which some are known here. */
export type HeaderTemplate =
  | { readonly kind: 'parsed'; readonly parts: readonly TemplatePart[] }
  /** `text` is the variable, or all from a percent sign that begins none. */
  | { readonly kind: 'unknown'; readonly text: string }

export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  /** The first line of a header, in lower case; `else` where it is absent, cut to `length` bytes. */
  | {
      readonly kind: 'header'
      readonly name: string
      readonly otherwise: string | null
      readonly length: number | null
    }
  | { readonly kind: 'value'; readonly of: TemplateValue }

/** Variables without arguments, by Envoy's names. */
export type TemplateValue = (typeof templateValues)[number]

export const templateValues = [
  'PROTOCOL',
  'START_TIME',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_LOCAL_URI_SAN',
  'DOWNSTREAM_PEER_URI_SAN',
] as const

const variable = /%(?:%|([A-Z0-9_]+)(?:\(([^()%]*)\))?(?::([0-9]{1,5}))?%)/y

/** Parses the value of an additional header of a provider, which Envoy fills in anew for each check. */
export function parseHeaderTemplate(text: string): HeaderTemplate {
  const parts: TemplatePart[] = []
  for (let at = 0; at < text.length; ) {
    const sign = text.indexOf('%', at)
    if (sign !== at) parts.push({ kind: 'text', text: text.slice(at, sign === -1 ? undefined : sign) })
    if (sign === -1) break
    variable.lastIndex = sign
    const found = variable.exec(text)
    if (found === null) return { kind: 'unknown', text: text.slice(sign) }
    const part = partOf(found)
    if (part === null) return { kind: 'unknown', text: found[0] }
    parts.push(part)
    at = variable.lastIndex
  }
  return { kind: 'parsed', parts }
}

function partOf([all, name, argument, length]: RegExpExecArray): TemplatePart | null {
  if (all === '%%') return { kind: 'text', text: '%' }
  if ((name === 'REQ' || name === 'REQUEST_HEADER') && argument !== undefined && argument !== '') {
    const [first = '', otherwise = null] = argument.toLowerCase().split('?', 2)
    return { kind: 'header', name: first, otherwise, length: length === undefined ? null : Number(length) }
  }
  const value = templateValues.find((one) => one === name)
  return value === undefined || argument !== undefined || length !== undefined ? null : { kind: 'value', of: value }
}
