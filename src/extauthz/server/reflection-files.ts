import type { DescFile } from '@bufbuild/protobuf'
import { toBinary } from '@bufbuild/protobuf'
import { nestedTypes } from '@bufbuild/protobuf/reflect'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'

/** The descriptors of some files and of all that they import, found by what they declare. */
export class ReflectionFiles {
  readonly services: readonly string[]
  readonly #byName = new Map<string, DescFile>()
  readonly #bySymbol = new Map<string, DescFile>()
  /** By the whole name of the message that is extended, then by number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>()
  readonly #bytes = new Map<DescFile, Uint8Array>()

  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#add(file)
    this.services = files.flatMap((file) => file.services.map(({ typeName }) => typeName)).sort()
  }

  /** By the name that an import has. */
  named(name: string): DescFile | undefined {
    return this.#byName.get(name)
  }

  /** By the whole name of what it declares: a message, enum, extension, service, method, field or enum value. */
  declaring(symbol: string): DescFile | undefined {
    return this.#bySymbol.get(symbol)
  }

  extending(message: string, number: number): DescFile | undefined {
    return this.#extensions.get(message)?.get(number)
  }

  /** Undefined when there is no such message. */
  extensionsOf(message: string): readonly number[] | undefined {
    const numbers = this.#extensions.get(message)
    if (numbers !== undefined) return [...numbers.keys()].sort((a, b) => a - b)
    return this.#bySymbol.has(message) ? [] : undefined
  }

  /** A file, then what it imports, without those that are in `sent`; all of them are added to it. */
  take(file: DescFile, sent: Set<DescFile>): Uint8Array[] {
    const found: Uint8Array[] = []
    const queue = [file]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (sent.has(next)) continue
      sent.add(next)
      found.push(this.#encode(next))
      queue.push(...next.dependencies)
    }
    return found
  }

  #encode(file: DescFile): Uint8Array {
    const known = this.#bytes.get(file)
    if (known !== undefined) return known
    const bytes = toBinary(FileDescriptorProtoSchema, file.proto)
    this.#bytes.set(file, bytes)
    return bytes
  }

  #add(file: DescFile): void {
    if (this.#byName.has(file.proto.name)) return
    this.#byName.set(file.proto.name, file)
    for (const declared of nestedTypes(file)) {
      this.#bySymbol.set(declared.typeName, file)
      switch (declared.kind) {
        case 'message':
          for (const field of declared.fields) this.#bySymbol.set(`${declared.typeName}.${field.name}`, file)
          break
        case 'enum':
          // The values of an enum are named beside it, not in it.
          for (const { name } of declared.values) {
            this.#bySymbol.set(`${declared.typeName.slice(0, -declared.name.length)}${name}`, file)
          }
          break
        case 'extension': {
          const numbers = this.#extensions.get(declared.extendee.typeName) ?? new Map<number, DescFile>()
          this.#extensions.set(declared.extendee.typeName, numbers.set(declared.number, file))
          break
        }
        case 'service':
          for (const method of declared.methods) this.#bySymbol.set(`${declared.typeName}.${method.name}`, file)
          break
        default:
          declared satisfies never
      }
    }
    for (const dependency of file.dependencies) this.#add(dependency)
  }
}
