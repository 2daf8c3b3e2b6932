import { printIp } from '../../match/ip.ts'
import {
  type HeaderTemplate,
  parseHeaderTemplate,
  type TemplatePart,
  type TemplateValue,
} from '../../mesh/header-template.ts'
import type { CheckHttpRequest, CheckPeer, CheckRequest } from '../check.ts'
import { latin1FromUtf8 } from '../header-syntax.ts'

/** What an additional header says in a check, as Latin-1. What cannot be filled in here says nothing, and is not sent. */
export type FillTemplate = (request: CheckRequest, http: CheckHttpRequest) => string

export function compileTemplate(text: string): FillTemplate {
  const template: HeaderTemplate = parseHeaderTemplate(text)
  if (template.kind === 'unknown') return () => ''
  // Headers are bytes as Latin-1; what the file says is text.
  const parts = template.parts.map((part) =>
    part.kind === 'text' ? { ...part, text: latin1FromUtf8(part.text) } : part,
  )
  const [only] = parts
  if (only?.kind === 'text' && parts.length === 1) return () => only.text
  return (request, http) => parts.map((part) => fill(part, request, http)).join('')
}

function fill(part: TemplatePart, request: CheckRequest, http: CheckHttpRequest): string {
  switch (part.kind) {
    case 'text':
      return part.text
    case 'header': {
      const value = headerOf(http, part.name) ?? (part.otherwise === null ? '' : (headerOf(http, part.otherwise) ?? ''))
      return part.length === null ? value : value.slice(0, part.length)
    }
    case 'value':
      return variableOf(part.of, request, http)
    default:
      return part satisfies never
  }
}

/** The first line, as Envoy. */
function headerOf({ headers, method, path, host, scheme }: CheckHttpRequest, name: string): string | undefined {
  switch (name) {
    case ':method':
      return method
    case ':path':
      return path
    case ':authority':
    case 'host':
      return host
    case ':scheme':
      return scheme
    default:
      return headers.get(name)
  }
}

function variableOf(name: TemplateValue, { source, destination, time }: CheckRequest, http: CheckHttpRequest): string {
  switch (name) {
    case 'PROTOCOL':
      return http.protocol
    case 'START_TIME':
      return new Date(time).toISOString()
    case 'DOWNSTREAM_REMOTE_ADDRESS':
      return address(remoteOf(source, http))
    case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return remoteOf(source, http).ip
    case 'DOWNSTREAM_REMOTE_PORT':
      return String(remoteOf(source, http).port)
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS':
      return address(source)
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT':
      return source.ip
    case 'DOWNSTREAM_DIRECT_REMOTE_PORT':
      return String(source.port)
    case 'DOWNSTREAM_LOCAL_ADDRESS':
      return address(destination)
    case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return destination.ip
    case 'DOWNSTREAM_LOCAL_PORT':
      return String(destination.port)
    case 'DOWNSTREAM_LOCAL_URI_SAN':
      return uriOf(destination)
    case 'DOWNSTREAM_PEER_URI_SAN':
      return uriOf(source)
    default:
      return name satisfies never
  }
}

/** The client as X-Forwarded-For names it, which tells no port. */
function remoteOf(source: CheckPeer, { remoteIp }: CheckHttpRequest): Pick<CheckPeer, 'ip' | 'port'> {
  const ip = remoteIp === undefined ? source.ip : printIp(remoteIp)
  return ip === source.ip ? source : { ip, port: 0 }
}

function address({ ip, port }: Pick<CheckPeer, 'ip' | 'port'>): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** At a gateway the principal may be a DNS name or a subject. */
function uriOf({ principal }: CheckPeer): string {
  return principal.includes('://') ? principal : ''
}
