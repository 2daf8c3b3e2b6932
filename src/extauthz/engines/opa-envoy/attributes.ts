import type { JsonValue } from '@bufbuild/protobuf'
import type { Attributes } from '../../server/request.ts'

/**
 * The attributes as OPA's plug-in writes them since its version 1.0, which is protobuf's JSON but for three things: a
 * time is an object of `seconds` and `nanos`, `size` is a number, and the protocol of an address is a number.
 */
export function pluginAttributes(attributes: Attributes): Attributes {
  const written: Record<string, JsonValue> = { ...attributes }
  for (const side of ['source', 'destination']) {
    const peer = written[side]
    if (isObject(peer)) written[side] = pluginPeer(peer)
  }
  if (isObject(written.request)) written.request = pluginRequest(written.request)
  return written
}

type Members = { readonly [name: string]: JsonValue }

function pluginRequest(request: Members): Members {
  const { time, http } = request
  return {
    ...request,
    ...(typeof time === 'string' ? { time: timestamp(time) } : {}),
    ...(isObject(http) && typeof http.size === 'string' ? { http: { ...http, size: Number(http.size) } } : {}),
  }
}

/** What is 0 is absent, as everywhere in these documents. */
function timestamp(text: string): Members {
  const milliseconds = Date.parse(text)
  const fraction = /\.([0-9]{1,9})/.exec(text)?.[1] ?? ''
  const seconds = Math.floor(milliseconds / 1000)
  const nanos = Number(fraction.padEnd(9, '0'))
  return { ...(seconds === 0 ? {} : { seconds }), ...(nanos === 0 ? {} : { nanos }) }
}

function pluginPeer(peer: Members): Members {
  const { address } = peer
  if (!isObject(address) || !isObject(address.socketAddress)) return peer
  const { socketAddress } = address
  if (socketAddress.protocol === undefined) return peer
  const protocol = socketAddress.protocol === 'UDP' ? 1 : 0
  const { protocol: _, ...rest } = socketAddress
  return { ...peer, address: { ...address, socketAddress: { ...rest, ...(protocol === 0 ? {} : { protocol }) } } }
}

function isObject(value: JsonValue | undefined): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
