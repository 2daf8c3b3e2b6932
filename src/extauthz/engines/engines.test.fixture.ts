import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { Fields, Logger } from '../../observe/log.ts'
import type { Verdict } from '../server/answer.ts'
import { createJudge, unobserved } from '../server/judge.ts'
import { type AuthorizerPeer, type RequestParts, requestFrom } from '../server/request.ts'
import type { EngineLoading } from './engine.ts'

/** A folder of files for the time of a test. */
class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'sallyport-engine-'))

  write(name: string, text: string): string {
    const path = join(this.path, name)
    writeFileSync(path, text)
    return path
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

interface Logged {
  readonly level: string
  readonly message: string
  readonly fields: Fields | undefined
}

function collectingLogger(into: Logged[]): Logger {
  const at = (level: string) => (message: string, fields?: Fields) => into.push({ level, message, fields })
  return { level: 'debug', debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A folder for the files of a test file's engines, and what they log. The folder goes after the last test. */
export function engineTests(): { readonly folder: Folder; readonly logged: Logged[]; readonly logger: Logger } {
  const folder = new Folder()
  after(() => folder.remove())
  const logged: Logged[] = []
  return { folder, logged, logger: collectingLogger(logged) }
}

/** What a request comes to: `allow`, or the status. */
export function saidOf(verdict: Verdict): string {
  return verdict.kind === 'allow' ? 'allow' : String(verdict.status)
}

export const peer = (principal = '', ip = '10.0.0.1', port = 4321): AuthorizerPeer => ({ ip, port, principal })

export interface Asking extends Partial<Omit<RequestParts, 'lines' | 'attributes'>> {
  readonly headers?: Readonly<Record<string, string>>
  readonly attributes?: ReturnType<RequestParts['attributes']>
}

export function request({ headers = {}, attributes = {}, ...parts }: Asking = {}) {
  return requestFrom({
    ...{ method: 'GET', path: '/', host: 'web.default', scheme: 'http', protocol: 'HTTP/1.1' },
    ...{ source: peer(), destination: peer('', '10.0.0.2', 8080), contextExtensions: {}, time: 0 },
    ...{ signal: new AbortController().signal, body: new Uint8Array(0) },
    lines: Object.entries(headers),
    attributes: () => attributes,
    ...parts,
  })
}

/** What a proxy would be told: through the same judge as in a server. */
export function judgeOf(loading: EngineLoading, logger: Logger) {
  if (loading.kind === 'failed') throw new Error(loading.message)
  const judge = createJudge(loading.checks, 1000, logger, unobserved)
  return {
    ask: async (asking: Asking = {}): Promise<Verdict> => judge({ kind: 'request', request: request(asking) }),
    connect: async (principal = '', sni = ''): Promise<Verdict> => {
      const sides = { source: peer(principal), destination: peer('', '10.0.0.2', 8080) }
      const signal = new AbortController().signal
      return judge({ kind: 'connection', connection: { ...sides, sni, contextExtensions: {}, attributes: {}, signal } })
    },
  }
}

/** A token signed with a shared secret (HS256). */
export function secretToken(claims: object, secret: Uint8Array): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}
