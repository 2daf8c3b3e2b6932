import { stringify } from 'yaml'
import type { Material } from './material.ts'
import type { Ports } from './slot.ts'
import type { BodySpec, HttpSpec, Json, MeshSpec, RequestSpec } from './spec.ts'

/** Where one engine is, for what specs leave open. */
export interface Place {
  readonly address: string
  readonly ports: Ports
  readonly material: Material
}

/** The documents as an engine at this place gets them. */
export function fillDocuments({ documents }: MeshSpec, place: Place): readonly Json[] {
  return documents.map((document) => withMeshText(fillJson(document, place)))
}

/** The mesh configuration is text within a ConfigMap; a spec holds it as an object. */
function withMeshText(document: Json): Json {
  const { data, ...rest } = document as { readonly data?: { readonly mesh?: Json } }
  if (data?.mesh === undefined || typeof data.mesh === 'string') return document
  return { ...rest, data: { mesh: stringify(data.mesh) } } as Json
}

/** As a file: documents in JSON, which is YAML too. */
export function meshText(documents: readonly Json[]): string {
  return documents.map((document) => JSON.stringify(document)).join('\n---\n')
}

/** As a user would write it. */
export function meshYaml(documents: readonly Json[]): string {
  return documents.map((document) => stringify(document, { lineWidth: 0 })).join('---\n')
}

function fillJson(value: Json, place: Place): Json {
  if (typeof value === 'string') return value.includes('@') ? fillText(value, place) : value
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item) => fillJson(item, place))
  const entries = Object.entries(value as { readonly [name: string]: Json })
  return Object.fromEntries(
    entries.map(([name, item]) => [fillText(name, place), fillPort(name, fillJson(item, place))]),
  )
}

/** Fields that hold a number where a text stands for it. */
function fillPort(name: string, value: Json): Json {
  const numeric = name === 'port' || name === 'number' || name === 'containerPort' || name === 'targetPort'
  return numeric && typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value
}

function fillText(text: string, { address, ports, material }: Place): string {
  return text.replace(/@([a-z-]+)(?::([a-z]+))?@/g, (whole, name: string, argument: string | undefined) => {
    switch (name) {
      case 'self':
        return address
      case 'port':
        return String(ports.main)
      case 'other-port':
        return String(ports.other)
      case 'grpc-port':
        return String(ports.grpc)
      case 'http-port':
        return String(ports.http)
      case 'closed-port':
        return String(ports.closed)
      case 'jwks':
        return material.jwks(argument ?? 'main')
      default:
        return whole
    }
  })
}

/** The request with its tokens signed and its ports in place. */
export function fillRequest(request: RequestSpec, place: Place): RequestSpec {
  const { http, tokens } = request
  if (http === null) return request
  const signed = tokens.map((token) => place.material.token(token))
  const text = (value: string) =>
    value.includes('@')
      ? fillText(value, place).replace(/@token:(\d+)@/g, (_, index) => signed[Number(index)] ?? '')
      : value
  return {
    ...request,
    http: {
      ...http,
      target: text(http.target),
      hosts: http.hosts.map(text),
      headers: http.headers.map(([name, value]) => [name, text(value)] as const),
      raw: http.raw === null ? null : text(http.raw),
    },
  }
}

/** What goes over the wire for a filled request. */
export function requestBytes({ http }: RequestSpec): string {
  return http === null ? 'hello' : (http.raw ?? httpBytes(http))
}

function httpBytes({ method, target, version, hosts, headers, body }: HttpSpec): string {
  const lines = [
    `${method} ${target} ${version}`,
    ...hosts.map((host) => `Host: ${host}`),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...framing(body),
  ]
  return `${lines.join('\r\n')}\r\n\r\n${content(body)}`
}

function framing(body: BodySpec): readonly string[] {
  switch (body.kind) {
    case 'none':
      return []
    case 'length':
      return [`Content-Length: ${body.text.length}`]
    case 'chunked':
      return ['Transfer-Encoding: chunked']
    default:
      return body satisfies never
  }
}

function content(body: BodySpec): string {
  switch (body.kind) {
    case 'none':
      return ''
    case 'length':
      return body.text
    case 'chunked':
      return `${body.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`
    default:
      return body satisfies never
  }
}

export function portOf(request: RequestSpec, ports: Ports): number {
  return request.port === 'main' ? ports.main : ports.other
}

/** The SPIFFE id that a certificate gives its owner; empty without one. */
export function principalOf(certificate: string | null): string {
  if (certificate === null || !certificate.startsWith('uri:')) return ''
  return certificate.slice('uri:'.length)
}
