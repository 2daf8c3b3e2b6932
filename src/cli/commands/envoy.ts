import { type Command, FILE, NAMESPACE } from '../command.ts'

export const envoy: Command = {
  name: 'envoy',
  summary: 'print the configuration of a real Envoy that decides the same',
  description:
    "Translates what is in force on a workload to a complete bootstrap for Envoy: TLS, tokens, external authorization\nand policies, in Istio's order and under Istio's names. Without --listen, --app or a Sidecar with listeners it is\nIstio's inbound listener on port 15006, to which iptables redirects; else it listens as `sallyport up` does. What\nEnvoy would refuse is reported at its place in the files, with exit code 3.",
  usage: [
    'envoy -f PATH... --workload NS/NAME [--port N]... [-o yaml|json]',
    'envoy -f PATH... --workload NS/NAME --listen [PORT=]ADDR... --app ADDR [-o yaml|json]',
  ],
  positionals: null,
  options: [
    FILE,
    { name: 'workload', value: 'NS/NAME', help: 'the workload that Envoy stands in front of' },
    {
      name: 'port',
      value: 'N[/PROTOCOL]',
      repeats: true,
      help: 'only this port of it, or one that the files do not name (PROTOCOL: http, http2, grpc, tcp or auto)',
    },
    {
      name: 'listen',
      value: '[PORT=]ADDR',
      repeats: true,
      help: 'where Envoy listens; policies see PORT, or the socket’s own port without PORT=',
    },
    { name: 'app', value: 'ADDR', help: 'where the application is: HOST:PORT or unix:PATH' },
    {
      name: 'rbac',
      value: 'FORM',
      choices: ['matcher', 'rules'],
      help: 'matcher (default): many rules as a decision tree; rules: lists, exactly as Istio writes them',
    },
    {
      name: 'label',
      value: 'NAME=VALUE',
      repeats: true,
      help: 'a label of the workload, for one that no file describes',
    },
    { name: 'service-account', value: 'NAME', help: 'its service account (default: default)' },
    { name: 'host', value: 'HOST', help: 'at a waypoint: the host of the service that it stands in front of' },
    {
      name: 'cert',
      value: 'FILE',
      path: 'file',
      help: 'the workload’s certificate (PEM), instead of one for development',
    },
    { name: 'key', value: 'FILE', path: 'file', help: 'its key' },
    { name: 'ca', value: 'FILE', path: 'file', help: 'the roots that peers are verified against' },
    {
      name: 'ca-dir',
      value: 'DIR',
      path: 'folder',
      help: 'the development CA; a certificate for a day is written below it (default: the user’s data folder)',
    },
    {
      name: 'jwks',
      value: 'ISSUER=FILE',
      repeats: true,
      path: 'file',
      help: 'the keys of an issuer, which then are in the configuration and not fetched',
    },
    {
      name: 'jwks-ca',
      value: 'FILE',
      path: 'file',
      help: 'the roots (PEM) of a jwksUri’s server, instead of the system’s',
    },
    { name: 'access-log', value: 'FILE', path: 'file', help: 'write Istio’s access log there, such as /dev/stdout' },
    { name: 'admin', value: 'ADDR', help: 'Envoy’s administration interface (default 127.0.0.1:15000; 0: none)' },
    { name: 'output', short: 'o', value: 'FORMAT', choices: ['yaml', 'json'], help: 'yaml (default) or json' },
    NAMESPACE,
  ],
  examples: [
    [
      'sallyport envoy -f examples/opa --workload default/httpbin-with-opa > /tmp/envoy.yaml',
      'a bootstrap; then: envoy --mode validate -c /tmp/envoy.yaml, and envoy -c /tmp/envoy.yaml',
    ],
    [
      'sallyport envoy -f examples/frontend-backend/workloads.yaml -f examples/frontend-backend/allow-get-data.yaml --workload default/backend --listen 8080=127.0.0.1:18080 --app 127.0.0.1:3000 -o json',
      'on this machine, without iptables: policies see port 8080, Envoy listens on 18080',
    ],
    [
      'sallyport envoy -f examples/frontend-backend/deny-all.yaml --workload default/web --label app=backend --port 8080/http --rbac rules',
      'the filters exactly as Istio would send them, for a workload that no file describes',
    ],
  ],
  run: async (args, io) => (await import('../envoy/run.ts')).runEnvoy(args, io),
}
