import { type IpBlock, printIp } from '../../match/ip.ts'

/** What a text must look like; `any` only says that it is there. */
export type TextKey =
  | { readonly shape: 'exact' | 'prefix' | 'suffix'; readonly text: string }
  | { readonly shape: 'any' }

/** Texts that a request has once. `target` is the path with its query, `authority` the host as sent. */
export type TextField = 'path' | 'target' | 'host' | 'authority' | 'method' | 'scheme' | 'sni' | 'peer'

/**
 * Something that a request must have for a rule to match: necessary, not sufficient, so that what is found by it is
 * still tested whole.
 */
export type Anchor =
  | { readonly kind: 'text'; readonly field: TextField; readonly key: TextKey }
  /** The segment of that number, counted from 0, is this text. */
  | { readonly kind: 'segment'; readonly index: number; readonly text: string }
  /** What follows some `/ns/` of the peer's id, up to the id's end. */
  | { readonly kind: 'namespace'; readonly key: TextKey }
  /** The whole segment behind some `/sa/` of the peer's id. */
  | { readonly kind: 'account'; readonly key: TextKey }
  | { readonly kind: 'header'; readonly name: string; readonly key: TextKey }
  | { readonly kind: 'claim'; readonly path: readonly string[]; readonly key: TextKey }
  /** `path` is a filter and a key. */
  | { readonly kind: 'metadata'; readonly path: readonly string[]; readonly key: TextKey }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'sourceIp' | 'remoteIp' | 'destinationIp'; readonly block: IpBlock }

/** The same text for the same anchor and for no other: kinds, fields and shapes hold no NUL, and names are quoted. */
export function anchorName(anchor: Anchor): string {
  switch (anchor.kind) {
    case 'text':
      return `${anchor.field}\0${keyName(anchor.key)}`
    case 'segment':
      return `segment\0${anchor.index}\0${anchor.text}`
    case 'namespace':
    case 'account':
      return `${anchor.kind}\0${keyName(anchor.key)}`
    case 'header':
      return `header\0${JSON.stringify(anchor.name)}\0${keyName(anchor.key)}`
    case 'claim':
    case 'metadata':
      return `${anchor.kind}\0${JSON.stringify(anchor.path)}\0${keyName(anchor.key)}`
    case 'port':
      return `port\0${anchor.port}`
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return `${anchor.kind}\0${printIp(anchor.block.address)}/${anchor.block.bits}`
    default:
      return anchor satisfies never
  }
}

function keyName(key: TextKey): string {
  return key.shape === 'any' ? 'any' : `${key.shape}\0${key.text}`
}

/** How much likelier than others a request is to have this: it is there anyway, or is one of few values. */
export function breadth(anchor: Anchor): number {
  switch (anchor.kind) {
    case 'text':
      return textBreadth(anchor.key) * (anchor.field === 'method' ? 4 : anchor.field === 'scheme' ? 16 : 1)
    case 'header':
    case 'claim':
    case 'metadata':
    case 'namespace':
    case 'account':
      return textBreadth(anchor.key)
    case 'port':
      return 4
    case 'segment':
      return 1
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return anchor.block.bits < 8 ? 8 : 1
    default:
      return anchor satisfies never
  }
}

function textBreadth(key: TextKey): number {
  return key.shape === 'any' ? 16 : key.shape !== 'exact' && key.text.length < 2 ? 8 : 1
}
