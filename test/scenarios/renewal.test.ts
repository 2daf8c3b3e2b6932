import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import { Stage } from './stage.ts'

const stage = new Stage()
after(() => stage.end())

const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })

/** Gives the serial number of the certificate that was written. */
function issue(): void {
  const { chain, key } = ca.issue({ namespace: 'default', serviceAccount: 'web' })
  stage.write('tls/key.pem', key)
  stage.write('tls/cert.pem', chain)
}

async function presented(port: number): Promise<string> {
  const { chain, key } = ca.issue({ namespace: 'default', serviceAccount: 'client' })
  const options = { cert: chain, key, rejectUnauthorized: false, ALPNProtocols: ['istio'] }
  const socket = connect({ host: '127.0.0.1', port, ...options })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.resume().end()
  await once(socket, 'close')
  return serialNumber
}

test('a new certificate is used, whatever state the module of an authorizer is in', async () => {
  issue()
  stage.write('tls/ca.pem', ca.root)
  const module = stage.write('files/authorizer.mjs', 'export default () => undefined\n')
  stage.write(
    'files/authorizer.yaml',
    `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: own, namespace: default }
spec: { grpc: { listen: "127.0.0.1:0" }, engine: { module: { path: ${module} } } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: nothing, namespace: default }
`,
  )
  const app = await stage.application((_, response) => response.end('data'))
  const files = ['cert', 'key', 'ca'].flatMap((name) => [`--${name}`, stage.path(`tls/${name}.pem`)])
  const web = ['--workload', 'default/web', '--service-account', 'web', '--listen', '8080=127.0.0.1:0']
  const off = ['health-port', 'metrics-port', 'admin-port'].flatMap((name) => [`--${name}`, '0'])
  const up = stage.sallyport('up', '-f', stage.path('files'), ...web, '--app', `127.0.0.1:${app}`, ...files, ...off)
  await up.line('stderr', /^ready$/)
  const port = up.port('inbound default/web:8080')
  const first = await presented(port)
  const { kind } = await up.reload(() => stage.write('files/authorizer.mjs', 'throw new Error("broken")\n'))
  assert.equal(kind, 'kept')
  issue()
  await up.line('stderr', /credentials reloaded/)
  // The line is written before the proxy has taken them over; that it does is seen in connections alone.
  const late = Date.now() + 5000
  while ((await presented(port)) === first) assert.ok(Date.now() < late, 'the new certificate is not in use')
})
