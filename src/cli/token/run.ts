import { join, resolve } from 'node:path'
import { signToken } from '../../authn/jwt/sign-token.ts'
import { type Args, UsageError } from '../command.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'
import { createNotes, type Notes } from '../notes.ts'
import { type Claims, printClaims, readClaims } from './claims.ts'
import { openSigningKey, type StoredKey, storedAlgorithms } from './signing-keys.ts'

const DEFAULT = 'RS256'

/** `sallyport token`: prints a token, or the keys that verify tokens. */
export async function runToken(args: Args, io: Io): Promise<ExitCode> {
  const folder = resolve(io.cwd, args.value('key-dir') ?? defaultFolder(io))
  const notes = createNotes(args, io)
  const open = (alg: string): StoredKey => {
    const key = openSigningKey(folder, alg)
    if (key.made) notes([`made a key for ${alg} in ${folder}: whoever can read it can sign such tokens`])
    return key
  }
  if (args.flag('jwks')) {
    printJwks(args, io, notes, folder, open)
    return EXIT.ok
  }
  const claims = readClaims(args, io.now())
  const { alg, kid, key } = open(args.value('alg') ?? DEFAULT)
  notes(remarks(claims))
  io.stdout(`${signToken(JSON.stringify({ alg, kid, typ: 'JWT' }), printClaims(claims), { alg, key })}\n`)
  return EXIT.ok
}

function printJwks(args: Args, io: Io, notes: Notes, folder: string, open: (alg: string) => StoredKey): void {
  const stray = ['iss', 'sub', 'aud', 'claim', 'ttl'].find((name) => args.flag(name))
  if (stray !== undefined) throw new UsageError(`--${stray} is for a token, and --jwks prints keys`)
  const alg = args.value('alg')
  const stored = storedAlgorithms(folder).filter((one) => !one.startsWith('HS'))
  const keys = alg === undefined ? (stored.length === 0 ? [DEFAULT] : stored).map(open) : [open(alg)]
  if (keys.some(({ secret }) => secret)) {
    notes(['this set holds the secret that tokens are signed with: whoever reads it can sign them too'])
  }
  io.stdout(`${JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })}\n`)
}

/** What a rule would make of the lack of a claim. */
function remarks(claims: Claims): string[] {
  const has = (name: string) => claims.has(name)
  return [
    ...(has('iss') ? [] : ['the token has no iss: a RequestAuthentication with an issuer refuses it']),
    ...(has('sub') ? [] : ['the token has no sub: no requestPrincipals of a policy match it, `*` included']),
  ]
}

function defaultFolder({ env, cwd }: Io): string {
  const data = env.XDG_DATA_HOME ?? (env.HOME === undefined ? undefined : join(env.HOME, '.local', 'share'))
  return data === undefined ? join(cwd, '.sallyport', 'token') : join(data, 'sallyport', 'token')
}
