import type { ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { isAlias, isMap, isScalar, isSeq } from 'yaml'
import type { Json } from '../document.ts'
import { limits } from '../limits.ts'
import type { Tree } from './compose.ts'
import { tooDeep } from './compose.ts'
import type { Problem } from './problem.ts'
import { resolvePlain } from './scalar.ts'

type MapNode = YAMLMap<ParsedNode, ParsedNode | null>

/** The value that a tree stands for, as sigs.k8s.io/yaml turns YAML into JSON, or what is wrong with it. */
export function convert(tree: Tree): { readonly value: Json; readonly problems: readonly Problem[] } {
  const conversion = new Conversion(tree.aliases)
  const value = tree.root === null ? null : conversion.node(tree.root, 0)
  return { value, problems: conversion.problems }
}

const TAG = 'tag:yaml.org,2002:'

class Conversion {
  readonly problems: Problem[] = []
  readonly #aliases: Tree['aliases']
  /** Values of anchored nodes are shared between their aliases, with the number of values that they stand for. */
  readonly #shared = new Map<ParsedNode, { readonly value: Json; readonly size: number; readonly height: number }>()
  readonly #open = new Set<ParsedNode>()
  #size = 0
  /** The depth of the deepest collection since the last reset, to know how high an anchored value is. */
  #deepest = 0
  #expanded = false
  #stopped = false

  constructor(aliases: Tree['aliases']) {
    this.#aliases = aliases
  }

  node(node: ParsedNode | null, depth: number): Json {
    if (this.#stopped || node === null) return null
    this.#size++
    if (depth > this.#deepest) this.#deepest = depth
    if (this.#expanded && this.#size > limits.expandedNodes) return this.#stop(tooManyNodes(node))
    if (isAlias(node)) return this.#alias(node, depth)
    if (isScalar(node)) return this.#scalar(node as Scalar.Parsed)
    if (depth >= limits.depth) return this.#stop(tooDeep(node.range[0]))
    if (node.anchor === undefined) return this.#collection(node, depth)

    const sizeBefore = this.#size
    const deepestBefore = this.#deepest
    this.#deepest = depth
    this.#open.add(node)
    const value = this.#collection(node, depth)
    this.#open.delete(node)
    this.#shared.set(node, { value, size: this.#size - sizeBefore, height: this.#deepest - depth })
    this.#deepest = Math.max(this.#deepest, deepestBefore)
    return value
  }

  #alias(node: ParsedNode & { readonly source: string }, depth: number): Json {
    const target = this.#aliases.get(node)
    if (target === undefined)
      return this.#problem(node.range[0], `the alias \`*${node.source}\` has no anchor before it`)
    if (isScalar(target)) return this.#scalar(target as Scalar.Parsed)
    if (this.#open.has(target)) {
      return this.#problem(node.range[0], `the value of the anchor \`&${node.source}\` contains itself`)
    }
    const shared = this.#shared.get(target)
    if (shared === undefined) return null
    this.#expanded = true
    this.#size += shared.size
    if (depth + shared.height > this.#deepest) this.#deepest = depth + shared.height
    if (this.#size > limits.expandedNodes) return this.#stop(tooManyNodes(node))
    if (depth + shared.height > limits.depth) return this.#stop(tooDeep(node.range[0]))
    return shared.value
  }

  #collection(node: ParsedNode, depth: number): Json {
    if (isMap<ParsedNode, ParsedNode | null>(node)) {
      if (node.tag !== undefined && node.tag !== `${TAG}map`) this.#unknownTag(node)
      return this.#map(node, depth)
    }
    if (node.tag !== undefined && node.tag !== `${TAG}seq`) this.#unknownTag(node)
    return (node as YAMLSeq<ParsedNode>).items.map((item) => this.node(item, depth + 1))
  }

  #map(node: MapNode, depth: number): Json {
    const object: Record<string, Json> = {}
    let written: Set<string> | null = null
    for (const pair of node.items) {
      if (this.#stopped) break
      if (isMergeKey(pair.key)) {
        // As go-yaml v2: in its place among the keys, so that it wins over the ones before it.
        written ??= new Set(Object.keys(object))
        this.#merge(object, pair.value, depth)
        continue
      }
      const key = this.#key(pair.key)
      const value = this.node(pair.value, depth + 1)
      if (key === null) continue
      if (written === null ? Object.hasOwn(object, key) : written.has(key)) {
        this.#problem((pair.key as ParsedNode).range[0], `the key \`${key}\` is already set in this mapping`)
        continue
      }
      written?.add(key)
      put(object, key, value)
    }
    return object
  }

  #merge(object: Record<string, Json>, value: ParsedNode | null, depth: number): void {
    const sources = value !== null && isSeq<ParsedNode>(value) ? [...value.items].reverse() : [value]
    for (const source of sources) {
      const target = source !== null && isAlias(source) ? this.#aliases.get(source) : source
      if (source === null || !isMap(target)) {
        this.#problem((source ?? value)?.range[0] ?? 0, 'a merge key `<<` takes a mapping or a list of mappings')
        continue
      }
      const merged = this.node(source, depth)
      if (merged === null || typeof merged !== 'object') continue
      for (const [key, inner] of Object.entries(merged)) put(object, key, inner)
    }
  }

  /** Keys are strings in JSON: numbers and booleans become their text, as sigs.k8s.io/yaml has it. */
  #key(node: ParsedNode): string | null {
    const key = isAlias(node) ? this.#aliases.get(node) : node
    if (key === undefined) return this.#problem(node.range[0], 'the alias has no anchor before it')
    if (!isScalar(key)) return this.#problem(node.range[0], 'a key must be a string, not a list or a mapping')
    const before = this.problems.length
    const value = this.#scalar(key as Scalar.Parsed)
    if (this.problems.length > before) return null
    if (value === null) return this.#problem(node.range[0], 'a key must not be null', 'put the key in quotes')
    // A number that a double does not hold keeps its text.
    return typeof value === 'number' && !Number.isSafeInteger(value) && Number.isInteger(value)
      ? (key as Scalar.Parsed).source
      : String(value)
  }

  #scalar(node: Scalar.Parsed): Json {
    const tag = node.tag
    if (tag === undefined) {
      if (node.type !== 'PLAIN') return node.source
      const resolved = resolvePlain(node.source)
      if (resolved.kind === 'null') return null
      return resolved.kind === 'notJson' ? this.#notJson(node) : resolved.value
    }
    switch (tag) {
      case '!':
      case `${TAG}str`:
      case `${TAG}timestamp`:
        return node.source
      case `${TAG}binary`:
        return this.#binary(node)
      case `${TAG}null`:
      case `${TAG}bool`:
      case `${TAG}int`:
      case `${TAG}float`:
        return this.#tagged(node, tag.slice(TAG.length))
      default:
        return this.#unknownTag(node)
    }
  }

  #tagged(node: Scalar.Parsed, kind: string): Json {
    const resolved = resolvePlain(node.source)
    if (resolved.kind === 'notJson') return this.#notJson(node)
    if (resolved.kind === kind || (resolved.kind === 'int' && kind === 'float')) {
      return resolved.kind === 'null' ? null : resolved.value
    }
    return this.#problem(node.range[0], `\`${node.source}\` cannot be read as \`!!${kind}\``)
  }

  #binary(node: Scalar.Parsed): Json {
    const text = node.source.replaceAll(/[\r\n]/g, '')
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
      return this.#problem(node.range[0], '`!!binary` takes base64 text')
    }
    return Buffer.from(text, 'base64').toString('utf8')
  }

  #notJson(node: Scalar.Parsed): null {
    return this.#problem(node.range[0], `\`${node.source}\` has no meaning in JSON`, 'put it in quotes if it is text')
  }

  #unknownTag(node: ParsedNode): null {
    const tag = node.tag?.startsWith(TAG) ? `!!${node.tag.slice(TAG.length)}` : node.tag
    return this.#problem(node.range[0], `the tag \`${tag}\` is not known`, 'leave the tag out')
  }

  #problem(offset: number, message: string, help?: string): null {
    this.problems.push({ code: 'SP002', offset, message, ...(help === undefined ? {} : { help }) })
    if (this.problems.length >= limits.problems) this.#stopped = true
    return null
  }

  #stop(problem: Problem): null {
    this.#stopped = true
    this.problems.push(problem)
    return null
  }
}

export function isMergeKey(node: ParsedNode): boolean {
  return isScalar(node) && node.value === '<<' && node.type === 'PLAIN' && node.tag === undefined
}

function put(object: Record<string, Json>, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else object[key] = value
}

function tooManyNodes(node: ParsedNode): Problem {
  const message = `the document holds more than ${limits.expandedNodes} values once its aliases are expanded`
  return { code: 'SP003', offset: node.range[0], message }
}
