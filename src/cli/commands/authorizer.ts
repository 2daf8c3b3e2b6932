import { type Command, FILE, NAMESPACE } from '../command.ts'

export const authorizer: Command = {
  name: 'authorizer',
  summary: 'run the external authorization servers that the files describe',
  description:
    'Serves every Authorizer of the files over Envoy’s gRPC and HTTP forms of external authorization. Files and engines\nare watched: a good change takes effect at once, a bad one is reported and the last good engine stays.',
  usage: ['authorizer -f PATH...'],
  positionals: null,
  options: [
    FILE,
    NAMESPACE,
    {
      name: 'jwks-ca',
      value: 'FILE',
      path: 'file',
      repeats: true,
      help: 'more roots (PEM) to trust when keys are fetched from a jwksUri',
    },
  ],
  examples: [['sallyport authorizer -f examples/opa/authorizer.yaml', 'serve what the file describes, for any Envoy']],
  run: async (args, io) => (await import('../up/run-authorizer.ts')).runAuthorizer(args, io),
}
