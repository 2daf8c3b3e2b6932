import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import { signToken } from '#src/authn/jwt/sign-token.ts'
import type { TokenSpec } from './spec.ts'

// The library's injector demands reflection for decorators that it does not use here.
Object.assign(Reflect, { getMetadata() {}, getOwnMetadata() {}, defineMetadata() {} })
const x509 = await import('@peculiar/x509')
x509.cryptoProvider.set(webcrypto as never)

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** What a client's certificate holds, by its name: `uri:A,B` (URI names), `dns:X`, and for `stranger:URI` another root. */
interface Leaf {
  readonly certificate: string
  readonly key: string
}

interface CertificatePaths {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** Certificates, keys and tokens of one run: made when it starts, and gone with it. */
export class Material {
  readonly folder: string
  readonly #roots: readonly [Root, Root]
  readonly #leaves = new Map<string, Promise<Leaf>>()
  readonly #files = new Map<string, Promise<CertificatePaths>>()
  readonly #contexts = new Map<string, Promise<SecureContext>>()
  readonly #tokens = new Map<string, string>()
  readonly #keys: ReadonlyMap<string, TokenKey>
  readonly #sets: ReadonlyMap<string, string>

  private constructor(folder: string, roots: readonly [Root, Root]) {
    this.folder = folder
    this.#roots = roots
    this.#keys = tokenKeys()
    this.#sets = keySets(this.#keys)
  }

  static async create(folder: string): Promise<Material> {
    mkdirSync(folder, { recursive: true })
    const material = new Material(folder, [await createRoot('O=test'), await createRoot('O=stranger')])
    writeFileSync(join(folder, 'root.pem'), material.root)
    return material
  }

  /** PEM. */
  get root(): string {
    return this.#roots[0].pem
  }

  /** The paths of a workload's certificate and key, written once: some Envoy may be reading them. */
  serverFiles(id: string): Promise<CertificatePaths> {
    const known = this.#files.get(id)
    if (known !== undefined) return known
    const written = this.#write(id)
    this.#files.set(id, written)
    return written
  }

  async #write(id: string): Promise<CertificatePaths> {
    const { certificate, key } = await this.leaf(`uri:${id}`)
    const name = join(this.folder, createHash('sha256').update(id).digest('hex').slice(0, 16))
    writeFileSync(`${name}.pem`, certificate)
    writeFileSync(`${name}.key`, key, { mode: 0o600 })
    return { certificate: `${name}.pem`, key: `${name}.key`, ca: join(this.folder, 'root.pem') }
  }

  leaf(name: string): Promise<Leaf> {
    const known = this.#leaves.get(name)
    if (known !== undefined) return known
    const made = this.#issue(name)
    this.#leaves.set(name, made)
    return made
  }

  /** What a client presents; an empty name is a client without a certificate. */
  context(name: string): Promise<SecureContext> {
    const known = this.#contexts.get(name)
    if (known !== undefined) return known
    const made =
      name === ''
        ? Promise.resolve(createSecureContext())
        : this.leaf(name).then(({ certificate, key }) => createSecureContext({ cert: certificate, key }))
    this.#contexts.set(name, made)
    return made
  }

  jwks(name: string): string {
    const set = this.#sets.get(name)
    if (set === undefined) throw new Error(`no key set ${name}`)
    return set
  }

  token(spec: TokenSpec): string {
    const id = JSON.stringify(spec)
    const known = this.#tokens.get(id)
    if (known !== undefined) return known
    if (this.#tokens.size > 10_000) this.#tokens.clear()
    const text = damaged(this.#sign(spec), spec)
    this.#tokens.set(id, text)
    return text
  }

  #sign({ key, header, claims }: TokenSpec): string {
    const signing = this.#keys.get(key)
    if (signing === undefined) throw new Error(`no key ${key}`)
    return signToken(header, claims, { alg: signing.alg, key: signing.key })
  }

  async #issue(name: string): Promise<Leaf> {
    const [kind = '', rest = ''] = split(name)
    const root = this.#roots[kind === 'stranger' ? 1 : 0]
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = rest.split(',').map((value) => ({ type: kind === 'dns' ? 'dns' : 'url', value }) as const)
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: createHash('sha256').update(name).digest('hex').slice(0, 16),
      issuer: root.certificate.subject,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 86_400_000),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      publicKey: await webcrypto.subtle.importKey('spki', spki, EC, true, ['verify']),
      signingKey: root.keys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    })
    return { certificate: leaf.toString('pem'), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }
}

interface Root {
  readonly keys: webcrypto.CryptoKeyPair
  readonly certificate: Awaited<ReturnType<typeof x509.X509CertificateGenerator.create>>
  readonly pem: string
}

async function createRoot(name: string): Promise<Root> {
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  })
  return { keys, certificate, pem: certificate.toString('pem') }
}

function split(name: string): [string, string] {
  const colon = name.indexOf(':')
  return [name.slice(0, colon), name.slice(colon + 1)]
}

interface TokenKey {
  readonly alg: string
  readonly key: KeyObject
  readonly jwk: object
}

function tokenKeys(): ReadonlyMap<string, TokenKey> {
  const key = (alg: string, kid: string, made: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }) => {
    const jwk = { ...made.publicKey.export({ format: 'jwk' }), alg, kid }
    return { alg, key: made.privateKey, jwk }
  }
  const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const ed = createPrivateKey(
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  )
  const { alg: _alg, ...anyAlgorithm } = { ...p384.publicKey.export({ format: 'jwk' }), kid: 'curve', alg: '' }
  return new Map<string, TokenKey>([
    ['ec', key('ES256', 'ec', p256())],
    ['ec2', key('ES256', 'ec2', p256())],
    ['rsa', key('RS256', 'rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }))],
    ['ed', { alg: 'EdDSA', key: ed, jwk: { kty: 'OKP', crv: 'Ed25519', x: publicX(ed), alg: 'EdDSA', kid: 'ed' } }],
    ['stranger', key('ES256', 'ec', p256())],
    // Too short, and of another curve than its algorithm: keys that must not be used.
    ['small', key('RS256', 'small', generateKeyPairSync('rsa', { modulusLength: 768 }))],
    ['curve', { alg: 'ES256', key: p384.privateKey, jwk: anyAlgorithm }],
  ])
}

function publicX(key: KeyObject): string {
  return String((key.export({ format: 'jwk' }) as { readonly x?: string }).x)
}

function keySets(keys: ReadonlyMap<string, TokenKey>): ReadonlyMap<string, string> {
  const set = (...names: readonly string[]) => JSON.stringify({ keys: names.map((name) => keys.get(name)?.jwk) })
  return new Map([
    ['main', set('ec', 'rsa', 'ed')],
    ['second', set('ec2')],
    ['odd', set('ec', 'small', 'curve')],
  ])
}

function damaged(token: string, { damage }: TokenSpec): string {
  const parts = token.split('.')
  switch (damage) {
    case 'none':
      return token
    case 'signature':
      return `${parts[0]}.${parts[1]}.${(parts[2] ?? '').replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`
    case 'twoParts':
      return `${parts[0]}.${parts[1]}`
    case 'fourParts':
      return `${token}.x`
    case 'padding':
      return `${parts[0]}.${parts[1]}=.${parts[2]}`
    case 'notBase64':
      return `${parts[0]}.${parts[1]}~.${parts[2]}`
    default:
      return damage satisfies never
  }
}
