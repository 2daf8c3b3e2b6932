import { type Command, FILE, NAMESPACE } from '../command.ts'

export const authorizer: Command = {
  name: 'authorizer',
  summary: 'run the external authorization servers that the files describe',
  description:
    'Serves every Authorizer of the files over Envoy’s gRPC and HTTP forms of external authorization. Files and engines\nare watched: a good change takes effect at once, a bad one is reported and the last good engine stays. Engines run\nin processes of their own: one that does not answer is killed and replaced, and its callers get an error meanwhile.\nAddresses (host:port or unix:/path), TLS and the age of connections are set in the files; docs/run-an-authorizer.md\nhas them all. Spans of traced requests go to OTEL_EXPORTER_OTLP_ENDPOINT when it is set.',
  usage: ['authorizer -f PATH... [--workers N]'],
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
    { name: 'workers', value: 'N', help: 'processes that share the addresses; auto: one for each core (default 1)' },
    {
      name: 'stuck-after',
      value: 'DURATION',
      help: 'replace a process that has not answered for so long (default 5s)',
    },
    {
      name: 'drain-delay',
      value: 'DURATION',
      help: 'at the end, report NOT_SERVING for so long before connections are told to go (default 0s)',
    },
    { name: 'grace', value: 'DURATION', help: 'then, time for the checks under way (default 5s)' },
    {
      name: 'decisions',
      value: 'WHICH',
      choices: ['off', 'denied', 'all'],
      help: 'decisions to stdout, one line of JSON each, without secrets: off, denied or all (default off)',
    },
    { name: 'decision-sample', value: 'SHARE', help: 'the share of allowed checks among them, 0 to 1 (default 1)' },
    { name: 'health-port', value: 'N', help: 'readiness and liveness over HTTP (default 15031; 0: not served)' },
    { name: 'metrics-port', value: 'N', help: 'Prometheus metrics (default 15030; 0: not served)' },
    { name: 'admin-host', value: 'HOST', help: 'where these two listen (default 127.0.0.1; in a pod 0.0.0.0)' },
  ],
  examples: [
    ['sallyport authorizer -f examples/opa/authorizer.yaml', 'serve what the file describes, for any Envoy'],
    [
      'sallyport authorizer -f examples/opa/authorizer.yaml --workers auto --decisions denied --drain-delay 5s',
      'a process for each core, every denial a line on stdout, and time for load balancers at the end',
    ],
  ],
  run: async (args, io, program) => (await import('../up/run-authorizer.ts')).runAuthorizer(args, io, program),
}
