import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Program, root } from './program.ts'
import { Sallyport } from './sallyport.ts'

/** What a test file starts and writes. `end` undoes all of it, the latest first. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  readonly #endings: (() => unknown)[] = []

  /** To be called when the stage ends. */
  ending(end: () => unknown): void {
    this.#endings.push(end)
  }

  async end(): Promise<void> {
    const failures: unknown[] = []
    for (const end of this.#endings.reverse()) {
      try {
        await end()
      } catch (error) {
        failures.push(error)
      }
    }
    rmSync(this.folder, { recursive: true, force: true })
    if (failures.length > 0) throw failures[0]
  }

  /** Starts `sallyport up` and waits until it is ready. Its development CA is the stage's, its other ports are off. */
  async up(...args: string[]): Promise<Sallyport> {
    const up = this.starting(...args)
    await up.line('stderr', /^ready$/)
    return up
  }

  /** The same, without waiting. */
  starting(...args: string[]): Sallyport {
    return this.sallyport('up', ...this.#apart(args))
  }

  /** The same, with a text on standard input. */
  piped(input: string, ...args: string[]): Sallyport {
    return this.#begin(['up', ...this.#apart(args)], input)
  }

  #apart(args: readonly string[]): string[] {
    const off = ['health-port', 'metrics-port', 'admin-port'].flatMap((name) => [`--${name}`, '0'])
    const ca = args.includes('--ca-dir') ? [] : ['--ca-dir', join(this.folder, 'ca')]
    return [...args, ...ca, '-o', 'json', ...off]
  }

  sallyport(...args: string[]): Sallyport {
    return this.#begin(args)
  }

  #begin(args: readonly string[], input?: string): Sallyport {
    const program = new Sallyport(args, { XDG_DATA_HOME: join(this.folder, 'data') }, input)
    this.ending(async () => {
      if ((await program.stop()) === null) throw new Error(`${program.name} did not end when it was told to`)
    })
    return program
  }

  /** Starts an example's program on a free port and waits until it says where it listens. */
  async example(path: string, ...args: string[]): Promise<number> {
    const program = new Program(path, [join(root, 'examples', path), '0', ...args])
    this.ending(() => program.stop())
    const line = await program.line('stdout', /listening on http:/)
    return Number(line.slice(line.lastIndexOf(':') + 1))
  }

  /** An application in this process. */
  async application(handler: RequestListener): Promise<number> {
    return this.listen(createServer(handler))
  }

  async listen(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.ending(() => {
      server.closeAllConnections()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }

  path(...names: string[]): string {
    return join(this.folder, ...names)
  }

  /** The file appears whole, so that nobody who watches its folder reads half of it. */
  write(name: string, text: string): string {
    const path = this.path(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(this.path('.written'), text)
    renameSync(this.path('.written'), path)
    return path
  }

  remove(name: string): void {
    rmSync(this.path(name))
  }

  /** Writes an example's file to another place, byte for byte but for what is to be replaced, which must be there. */
  copy(
    example: string,
    name: string,
    ...replacements: readonly (readonly [from: string, to: string | number])[]
  ): string {
    let text = readExample(example)
    for (const [from, to] of replacements) {
      if (!text.includes(from)) throw new Error(`${example} has no ${from}`)
      text = text.replaceAll(from, String(to))
    }
    return this.write(name, text)
  }
}

export function examplePath(name: string): string {
  return join(root, 'examples', name)
}

export function readExample(name: string): string {
  return readFileSync(examplePath(name), 'utf8')
}

/**
 * Ports for what has to be told its port before it starts. They are below those that systems give to connections and
 * to listeners on port 0, so that only another test that does the same could take one meanwhile.
 */
export async function freePorts<const Names extends readonly string[]>(
  ...names: Names
): Promise<Record<Names[number], number>> {
  const ports = new Map<string, number>()
  while (ports.size < names.length) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if ([...ports.values()].includes(port) || !(await isFree(port))) continue
    ports.set(names[ports.size] as string, port)
  }
  return Object.fromEntries(ports) as Record<Names[number], number>
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createTcpServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
