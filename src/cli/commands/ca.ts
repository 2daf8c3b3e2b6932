import { type Command, NAMESPACE } from '../command.ts'

export const ca: Command = {
  name: 'ca',
  summary: 'show, use or replace the root of the development CA',
  description:
    'The development CA is a root that `sallyport up` makes when it is first needed, and with which its proxies know each\nother. `show` (the default) prints the roots to trust, `issue` makes a certificate for a workload, for curl, openssl or\na program of yours, and `rotate` replaces the root: what was issued before stays good until `rotate --finish`, and\nproxies that run take over both. It is no production CA: its key lies unencrypted in a folder.',
  usage: [
    'ca [show] [--ca-dir DIR] [--trust-domain TD]',
    'ca issue [-n NS] [--service-account NAME] [--ttl DURATION] [--out DIR]',
    'ca rotate [--finish]',
  ],
  positionals: { kind: 'word', name: 'ACTION', choices: ['show', 'issue', 'rotate'] },
  options: [
    {
      name: 'ca-dir',
      value: 'DIR',
      path: 'folder',
      help: 'the folder of the CA, as with `up` (default: the user’s data folder)',
    },
    { name: 'trust-domain', value: 'TD', help: 'the trust domain whose root it is (default: cluster.local)' },
    NAMESPACE,
    { name: 'service-account', value: 'NAME', help: 'the workload’s service account (default: default)' },
    { name: 'ttl', value: 'DURATION', help: 'how long the certificate is good for: 24h (default), up to 90d' },
    {
      name: 'out',
      value: 'DIR',
      path: 'folder',
      help: 'where cert-chain.pem, key.pem and root-cert.pem are written (default: NS-NAME)',
    },
    { name: 'finish', help: 'with rotate: trust the old root no longer' },
  ],
  examples: [
    ['sallyport ca --ca-dir dev-ca > root.pem', 'the root, made if there is none'],
    [
      'sallyport ca issue --ca-dir dev-ca --service-account frontend --out frontend && openssl verify -CAfile frontend/root-cert.pem frontend/cert-chain.pem',
      'a certificate for spiffe://cluster.local/ns/default/sa/frontend; curl takes it as --cert, --key and --cacert',
    ],
    [
      'sallyport ca show --ca-dir dev-ca > before.pem; sallyport ca rotate --ca-dir dev-ca && sallyport ca rotate --finish --ca-dir dev-ca',
      'another root in its place; between the two, both are trusted',
    ],
  ],
  run: async (args, io) => (await import('../ca/run.ts')).runCa(args, io),
}
