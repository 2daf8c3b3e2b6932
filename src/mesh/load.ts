import type { Diagnostic } from '../source/diagnostic.ts'
import type { SourceDocument } from '../source/document.ts'
import { moved } from '../source/moved.ts'
import { Collection, FirstOfEach } from './collection.ts'
import { type Declaration, declarationsOf } from './declaration.ts'
import { Identities } from './identities.ts'
import type { Mesh } from './mesh.ts'
import { type Assembled, assembleWorkloads, type WorkloadParts } from './workloads.ts'

export interface LoadOptions {
  /** The namespace of resources that name none; `default` when absent. */
  readonly defaultNamespace?: string
}

export interface LoadedMesh {
  readonly mesh: Mesh
  readonly diagnostics: Diagnostic[]
}

/**
 * Decodes documents into a mesh. A document that cannot be decoded is reported (SP1xx) and left out; one that Istio's
 * validation would refuse is in the mesh as written. Without any error diagnostic the mesh is all that the files say.
 */
export function loadMesh(documents: readonly SourceDocument[], options: LoadOptions = {}): LoadedMesh {
  return new MeshLoader(options).load(documents)
}

/** What a document was decoded to, and where it stood then. */
interface Decoded {
  readonly declarations: readonly Declaration[]
  readonly diagnostics: readonly Diagnostic[]
  readonly linesBefore: number
}

/** Documents that stand one after the other, so that a change of one is a matter of its block alone. */
class Block {
  readonly documents: readonly SourceDocument[]
  readonly decoded: readonly Decoded[]
  readonly collection = new Collection()
  readonly #reports: boolean

  constructor(documents: readonly SourceDocument[], decode: (document: SourceDocument) => Decoded) {
    this.documents = documents
    this.decoded = documents.map(decode)
    for (const { declarations } of this.decoded) {
      for (const declaration of declarations) this.collection.add(declaration)
    }
    this.#reports = this.decoded.some(({ diagnostics }) => diagnostics.length > 0)
  }

  report(diagnostics: Diagnostic[]): void {
    if (!this.#reports) return
    for (const [i, one] of this.decoded.entries()) report(this.documents[i] as SourceDocument, one, diagnostics)
  }
}

/** How many documents make a block. */
const BLOCK = 128

/** Blocks of the old documents that the new ones begin and end with, and the others. */
function unchanged(blocks: readonly Block[], documents: readonly SourceDocument[]) {
  let start = 0
  let from = 0
  for (; start < blocks.length; start++) {
    const { documents: own } = blocks[start] as Block
    if (!sameAt(own, documents, from)) break
    from += own.length
  }
  let end = blocks.length
  let to = documents.length
  for (; end > start; end--) {
    const { documents: own } = blocks[end - 1] as Block
    if (to - own.length < from || !sameAt(own, documents, to - own.length)) break
    to -= own.length
  }
  // Documents that come one by one would make a block each.
  while (start > 0 && (blocks[start - 1] as Block).documents.length < BLOCK / 2) start--
  return { before: blocks.slice(0, start), gone: blocks.slice(start, end), after: blocks.slice(end) }
}

function sameAt(own: readonly SourceDocument[], documents: readonly SourceDocument[], from: number): boolean {
  return own.every((document, i) => document === documents[from + i])
}

function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { documents }) => sum + documents.length, 0)
}

function report(document: SourceDocument, { diagnostics, linesBefore }: Decoded, into: Diagnostic[]): void {
  for (const found of diagnostics) into.push(moved(found, document.linesBefore - linesBefore))
}

/**
 * Loads a mesh again and again as its documents change. What it gives is what `loadMesh` gives, but resources of documents
 * that are the same objects as the last time are the same objects too, and workloads are while nothing that makes them is
 * another.
 */
export class MeshLoader {
  readonly #defaultNamespace: string
  readonly #decoded = new WeakMap<SourceDocument, Decoded>()
  readonly #identities = new Identities()
  #blocks: readonly Block[] = []
  #assembled: { readonly parts: WorkloadParts; readonly result: Assembled } | null = null

  constructor({ defaultNamespace = 'default' }: LoadOptions = {}) {
    this.#defaultNamespace = defaultNamespace
  }

  load(documents: readonly SourceDocument[]): LoadedMesh {
    const diagnostics: Diagnostic[] = []
    this.#update(documents)
    const collection = this.#identities.repeated ? this.#collectFirst(diagnostics) : this.#collect(diagnostics)
    const { workloads, instances } = this.#assemble(collection, diagnostics)
    return { mesh: { ...collection.resources(), workloads, instances }, diagnostics }
  }

  /** Only blocks with a document that is another are made anew. Counts what documents declare. */
  #update(documents: readonly SourceDocument[]): void {
    const { before, after, gone } = unchanged(this.#blocks, documents)
    for (const block of gone) for (const one of block.decoded) this.#count(one, -1)
    const end = documents.length - lengthOf(after)
    const fresh: Block[] = []
    for (let at = lengthOf(before); at < end; at += BLOCK) {
      fresh.push(new Block(documents.slice(at, Math.min(at + BLOCK, end)), (document) => this.#decode(document)))
    }
    for (const block of fresh) for (const one of block.decoded) this.#count(one, 1)
    this.#blocks = [...before, ...fresh, ...after]
  }

  #count({ declarations }: Decoded, by: 1 | -1): void {
    for (const { identity } of declarations) {
      if (identity === null) continue
      if (by === 1) this.#identities.add(identity)
      else this.#identities.remove(identity)
    }
  }

  #collect(diagnostics: Diagnostic[]): Collection {
    const collection = new Collection()
    for (const block of this.#blocks) {
      block.report(diagnostics)
      collection.addAll(block.collection)
    }
    return collection
  }

  /** Where something is declared twice, which is reported at its place. */
  #collectFirst(diagnostics: Diagnostic[]): Collection {
    const collection = new Collection()
    const once = new FirstOfEach(diagnostics)
    for (const { documents, decoded } of this.#blocks) {
      for (const [i, one] of decoded.entries()) {
        report(documents[i] as SourceDocument, one, diagnostics)
        for (const declaration of one.declarations) if (once.isFirst(declaration)) collection.add(declaration)
      }
    }
    return collection
  }

  #decode(document: SourceDocument): Decoded {
    const known = this.#decoded.get(document)
    if (known !== undefined) return known
    const { declarations, diagnostics } = declarationsOf(document, this.#defaultNamespace)
    const decoded = { declarations, diagnostics, linesBefore: document.linesBefore }
    this.#decoded.set(document, decoded)
    return decoded
  }

  #assemble(parts: WorkloadParts, diagnostics: Diagnostic[]): Assembled {
    const last = this.#assembled
    if (last !== null && sameParts(last.parts, parts)) return last.result
    const before = diagnostics.length
    const result = assembleWorkloads(parts, diagnostics)
    // Diagnostics name lines, which move.
    this.#assembled = diagnostics.length === before ? { parts, result } : null
    return result
  }
}

function sameParts(a: WorkloadParts, b: WorkloadParts): boolean {
  return (
    sameItems(a.sources, b.sources) &&
    sameItems(a.services, b.services) &&
    sameItems(a.serviceEntries, b.serviceEntries) &&
    sameItems(a.gateways, b.gateways) &&
    sameItems(a.kubernetesGateways, b.kubernetesGateways)
  )
}

function sameItems(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}
