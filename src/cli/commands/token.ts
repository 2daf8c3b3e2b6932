import type { Command } from '../command.ts'
import { ALGORITHMS } from '../token/algorithms.ts'

export const token: Command = {
  name: 'token',
  summary: 'print a signed JWT for tests, or the JWKS to verify it with',
  description:
    'Signs a JWT with a key of yours, which is made when it is first needed and kept in a folder, readable by you alone.\n`--jwks` prints the public keys instead, for `jwks` of a RequestAuthentication or `--jwks` of other commands. For tests:\nwhoever can read the folder can sign such tokens.',
  usage: [
    'token [--iss ISSUER] [--sub SUBJECT] [--aud AUDIENCE]... [--claim NAME=JSON]... [--ttl DURATION] [--alg ALG]',
    'token --jwks [--alg ALG]',
  ],
  positionals: null,
  options: [
    { name: 'iss', value: 'ISSUER', help: 'the issuer, as a RequestAuthentication names it' },
    { name: 'sub', value: 'SUBJECT', help: 'the subject; policies see ISSUER/SUBJECT as the request’s principal' },
    { name: 'aud', value: 'AUDIENCE', repeats: true, help: 'an audience; may be repeated' },
    {
      name: 'claim',
      value: 'NAME=JSON',
      repeats: true,
      help: 'any other claim, or one in place of ours: --claim groups=\'["dev"]\' --claim role=\'"admin"\'',
    },
    {
      name: 'ttl',
      value: 'DURATION',
      help: 'until it expires: 1h (default), 90d; -5m makes one that has expired; none leaves out exp',
    },
    { name: 'alg', value: 'ALG', choices: ALGORITHMS, help: 'how it is signed (default: RS256)' },
    { name: 'jwks', help: 'print the JWKS of all keys in the folder but secret ones, or of ALG’s alone' },
    { name: 'key-dir', value: 'DIR', path: 'folder', help: 'the folder of the keys (default: the user’s data folder)' },
  ],
  examples: [
    [
      'sallyport token --key-dir keys --iss https://issuer.example --sub alice --aud web --claim groups=\'["dev"]\'',
      'a token that is good for an hour',
    ],
    ['sallyport token --key-dir keys --jwks > jwks.json', 'what verifies it'],
    ['sallyport token --key-dir keys --iss https://issuer.example --ttl -5m --alg ES256', 'one that has expired'],
  ],
  run: async (args, io) => (await import('../token/run.ts')).runToken(args, io),
}
