import type { Difference } from './compare.ts'
import { fillDocuments, fillRequest, meshYaml, type Place, requestBytes } from './fill.ts'
import type { RunResult } from './run.ts'
import type { Shrunk } from './shrink.ts'

/** A disagreement as somebody reads it who has to find out which side is wrong. */
export function describeDisagreement({ one, difference }: Shrunk, place: Omit<Place, 'address'>): string {
  const here: Place = { ...place, address: '127.0.0.1' }
  const request = fillRequest(one.request, here)
  const { source, script } = one.request
  const client = [
    source.certificate === null
      ? 'plaintext'
      : source.certificate === ''
        ? 'TLS without a certificate'
        : source.certificate,
    `from ${source.ip}`,
    ...(source.sni === '' ? [] : [`SNI ${source.sni}`]),
    ...(source.alpn.length === 0 ? [] : [`ALPN ${source.alpn.join(' ')}`]),
  ]
  // The workload's own documents say nothing here.
  const documents = fillDocuments(one.mesh, here).filter(
    (document) => !/"kind":"(?:Deployment|Service)"/.test(JSON.stringify(document)),
  )
  return [
    describeDifference(difference),
    '  mesh:',
    indent(meshYaml(documents)),
    `  client: ${client.join(', ')}`,
    ...(script === null ? [] : [`  authorizer: ${JSON.stringify(script)}`]),
    '  request:',
    indent(
      requestBytes(request).replace(/[^\x20-\x7e\n]/g, (c) =>
        c === '\r' ? '' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
      ),
    ),
  ].join('\n')
}

export function describeDifference({ reference, engine, field, expected, actual }: Difference): string {
  return [
    `${engine} is not as ${reference} in: ${field}`,
    `  ${reference}: ${short(expected)}`,
    `  ${engine}: ${short(actual)}`,
  ].join('\n')
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 1200 ? `${text.slice(0, 1200)}...` : text
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '    ')
}

/** Where the time went. */
export function describeTimes({ times, cases, istioCases }: RunResult): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  const { prepare, run, close, total } = times
  const rate = Math.round((cases / total) * 1000)
  return [
    `${cases} cases in ${seconds(total)} (${rate}/s), ${istioCases} of them with Istio's own filters`,
    `  in two lanes: requests ${seconds(run)}, meshes and Envoy made ready ${seconds(prepare)}, closing ${seconds(close)}`,
  ].join('\n')
}
