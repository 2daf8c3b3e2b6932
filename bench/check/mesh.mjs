// A workload whose every request is checked by one provider over gRPC.
export function mesh(port) {
  return `
rootNamespace: istio-system
extensionProviders:
- name: checker
  envoyExtAuthzGrpc: { service: checker.local, port: ${port}, timeout: 2s }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: checker, namespace: foo }
spec:
  hosts: [checker.local]
  endpoints: [{ address: 127.0.0.1 }]
  ports: [{ name: grpc, number: ${port}, protocol: GRPC }]
  resolution: STATIC
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, ports: [{ containerPort: 8080 }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: foo }
spec:
  selector: { matchLabels: { app: web } }
  action: CUSTOM
  provider: { name: checker }
  rules: [{}]
`
}
