import { type Command, FILE, NAMESPACE } from '../command.ts'

export const up: Command = {
  name: 'up',
  summary: 'run the proxies and authorizers that the files ask for',
  description:
    'Runs a proxy for every workload that a Sidecar with listeners selects, and every Authorizer. Files are watched: a\ngood change takes effect at once, a bad one is reported and the last good configuration stays. Decisions go to\nstdout, one line each.',
  usage: ['up -f PATH...', 'up -f PATH... --workload NS/NAME [--listen [PORT=]HOST:PORT]... [--app HOST:PORT]'],
  positionals: null,
  options: [
    FILE,
    { name: 'workload', value: 'NS/NAME', help: 'run only the proxy of this workload (and every Authorizer)' },
    {
      name: 'listen',
      value: '[PORT=]ADDR',
      repeats: true,
      help: 'where it listens; policies see PORT, or the socket’s own port without PORT=',
    },
    { name: 'app', value: 'ADDR', help: 'where its application is: HOST:PORT or unix:PATH' },
    {
      name: 'drop-envoy-headers',
      help: 'drop every x-envoy- header of clients at a gateway, even where policies look at one',
    },
    {
      name: 'provider-header',
      value: 'NAME',
      repeats: true,
      help: 'a header that only an authorization provider sets (x-user, x-auth-*): a client’s own is removed first',
    },
    {
      name: 'label',
      value: 'NAME=VALUE',
      repeats: true,
      help: 'a label of the workload, for one that no file describes',
    },
    { name: 'service-account', value: 'NAME', help: 'its service account (default: default)' },
    {
      name: 'ca-dir',
      value: 'DIR',
      path: 'folder',
      help: 'where the development CA keeps its root (default: the user’s data folder)',
    },
    {
      name: 'cert',
      value: 'FILE',
      path: 'file',
      help: 'the workload’s certificate (PEM), instead of the development CA; watched',
    },
    { name: 'key', value: 'FILE', path: 'file', help: 'its key' },
    { name: 'ca', value: 'FILE', path: 'file', help: 'the roots that peers are verified against' },
    {
      name: 'jwks-ca',
      value: 'FILE',
      path: 'file',
      repeats: true,
      help: 'more roots (PEM) to trust when keys are fetched from a jwksUri',
    },
    {
      name: 'strict-tokens',
      help: 'refuse a request unless every token that it presents verifies (beyond Istio: one good token is enough there)',
    },
    {
      name: 'output',
      short: 'o',
      value: 'FORMAT',
      choices: ['text', 'json'],
      help: 'decisions as text or json (default: text on a terminal)',
    },
    {
      name: 'ready-when',
      value: 'WHAT',
      choices: ['proxy', 'providers'],
      help: 'ready when everything listens (proxy, the default), or when also every provider without failOpen answers',
    },
    {
      name: 'provider-health',
      value: 'DURATION',
      help: 'ask every endpoint of a provider so often whether it is well: by grpc.health.v1, or a GET that must be answered with 200',
    },
    { name: 'provider-health-path', value: 'PATH', help: 'what that GET asks for (default /)' },
    { name: 'health-port', value: 'N', help: 'readiness on this port (default 15021; 0: not served)' },
    { name: 'metrics-port', value: 'N', help: 'Prometheus metrics (default 15020; 0: not served)' },
    { name: 'admin-port', value: 'N', help: 'what is loaded, on a loopback address (default 15000; 0: not served)' },
    NAMESPACE,
  ],
  examples: [
    [
      'sallyport up -f examples/frontend-backend/workloads.yaml -f examples/frontend-backend/addresses.yaml -f examples/frontend-backend/sidecars.yaml',
      'the proxies of every workload with a Sidecar; the applications are yours to start',
    ],
    [
      'sallyport up -f examples/opa --listen 80=127.0.0.1:18000 --workload default/httpbin-with-opa',
      'a proxy and its authorizer; policies see port 80, the socket is elsewhere',
    ],
    [
      'sallyport up -f examples/frontend-backend/allow-nothing.yaml --workload default/web --label app=backend --service-account web --listen 8080=127.0.0.1:18080 --app 127.0.0.1:3000',
      'one sidecar without a file about it',
    ],
  ],
  run: async (args, io, program) => (await import('../up/run.ts')).runUp(args, io, program),
}
