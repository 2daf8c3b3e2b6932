import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'
import { parseListenAddress } from '#src/mesh/listen-address.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = path.join(root, 'examples/deploy')
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

// The files are what is tested here: their types are what these tests find out.
// biome-ignore lint/suspicious/noExplicitAny: of parsed YAML
type Tree = any

/** What a server leaves the checks that are under way when it is told to stop. */
const drainSeconds = 5

function documents(name: string): Tree[] {
  return parseAllDocuments(read(name)).map((document) => {
    assert.deepEqual(document.errors, [])
    return document.toJS()
  })
}

function read(name: string): string {
  return readFileSync(path.join(folder, name), 'utf8')
}

function analyze(name: string): { readonly status: number | null; readonly text: string } {
  const args = [path.join(root, 'dist/cli/main.js'), 'analyze', path.join(folder, name)]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { status, text: stdout + stderr }
}

function milliseconds(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s)$/.exec(text) ?? assert.fail(`${text} is no duration`)
  return Number(number) * (unit === 's' ? 1000 : 1)
}

describe('examples/deploy/kubernetes', () => {
  const resources = ['authorizer', 'mesh'].flatMap((name) => documents(`kubernetes/${name}.yaml`))
  const all = (kind: string): Tree[] => resources.filter((resource) => resource.kind === kind)
  const one = (kind: string, name: string): Tree => {
    const found = all(kind).filter((resource) => resource.metadata.name === name)
    assert.equal(found.length, 1, `${kind} ${name}`)
    return found[0]
  }
  const deployment = one('Deployment', 'authorizer')
  const pod = deployment.spec.template.spec
  const [container] = pod.containers
  const ports = new Map<string | number, number>(
    container.ports.flatMap(({ name, containerPort }: Tree) => [
      [name, containerPort],
      [containerPort, containerPort],
    ]),
  )
  const labels: Record<string, string> = deployment.spec.template.metadata.labels
  const selects = (selector: Record<string, string>) =>
    Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value)
  const authorizer = parse(one('ConfigMap', 'authorizer').data['authorizer.yaml'])

  test('our own decoder finds nothing wrong', () => {
    assert.deepEqual(analyze('kubernetes'), { status: 0, text: 'nothing found\n' })
  })

  test('every resource has a name in a namespace, and none is there twice', () => {
    const names = resources.map(
      ({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.namespace}/${metadata.name}`,
    )
    assert.equal(new Set(names).size, names.length)
    assert(!names.join().includes('undefined'))
  })

  test('all selectors find the pods of the Deployment', () => {
    assert(selects(deployment.spec.selector.matchLabels))
    assert(selects(one('Service', 'authorizer').spec.selector))
    for (const { labelSelector } of pod.topologySpreadConstraints) assert(selects(labelSelector.matchLabels))
    const budget = one('PodDisruptionBudget', 'authorizer').spec
    const network = one('NetworkPolicy', 'authorizer').spec
    const mtls = one('PeerAuthentication', 'authorizer').spec
    const callers = one('AuthorizationPolicy', 'authorizer-callers').spec
    for (const selector of [budget.selector, network.podSelector, mtls.selector, callers.selector]) {
      assert(selects(selector.matchLabels), JSON.stringify(selector))
    }
  })

  test('the port is the same wherever it is written', () => {
    const listening = parseListenAddress(authorizer.spec.grpc.listen)
    assert(listening.kind === 'tcp')
    assert.equal(ports.get('grpc'), listening.port)
    assert(['0.0.0.0', '::'].includes(listening.host), 'probes reach no loopback address')
    for (const kind of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      assert.equal(container[kind].grpc.port, listening.port, kind)
    }
    const [service] = one('Service', 'authorizer').spec.ports
    assert.equal(ports.get(service.targetPort), listening.port)
    const [{ ports: open }] = one('NetworkPolicy', 'authorizer').spec.ingress
    assert.deepEqual(open, [{ protocol: 'TCP', port: listening.port }])
  })

  test('the files, the account and the targets that are named are there', () => {
    for (const { name } of container.volumeMounts) {
      const volume = pod.volumes.find((one: Tree) => one.name === name)
      assert(Object.hasOwn(one('ConfigMap', volume.configMap.name).data, 'authorizer.yaml'))
    }
    const module = path.basename(authorizer.spec.engine.module.path)
    assert(Object.hasOwn(one('ConfigMap', 'authorizer').data, module))
    assert.equal(one('ServiceAccount', pod.serviceAccountName).metadata.namespace, deployment.metadata.namespace)
    const target = one('HorizontalPodAutoscaler', 'authorizer').spec.scaleTargetRef
    assert.deepEqual(target, { apiVersion: deployment.apiVersion, kind: 'Deployment', name: deployment.metadata.name })
    const config = container.args[container.args.indexOf('-f') + 1]
    assert.equal(container.volumeMounts[0].mountPath, config)
  })

  test('a pod that goes has time for those who still ask it', () => {
    const pause = container.lifecycle.preStop.sleep.seconds
    assert(pod.terminationGracePeriodSeconds >= pause + drainSeconds + 5)
    const { periodSeconds, failureThreshold } = container.livenessProbe
    assert(periodSeconds * failureThreshold >= 30, 'a slow moment must not end a server')
  })

  test('some replica always answers', () => {
    const { minReplicas, maxReplicas, metrics } = one('HorizontalPodAutoscaler', 'authorizer').spec
    const { maxUnavailable } = one('PodDisruptionBudget', 'authorizer').spec
    assert(minReplicas > maxUnavailable && maxReplicas > minReplicas)
    assert.equal(deployment.spec.replicas, undefined, 'each apply would undo what the autoscaler did')
    assert.deepEqual(deployment.spec.strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 })
    assert.deepEqual(
      metrics.map(({ type }: Tree) => type),
      ['Pods', 'Resource'],
    )
    assert.notEqual(container.resources.requests.cpu, undefined, 'a share of nothing is no utilization')
  })

  test('a container that is broken into can do little', () => {
    assert.equal(pod.automountServiceAccountToken, false)
    assert.equal(pod.securityContext.runAsNonRoot, true)
    assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault')
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    assert.notEqual(container.resources.limits.memory, undefined)
  })

  test('the mesh finds the provider, and waits longer than it takes', () => {
    const { extensionProviders } = parse(one('ConfigMap', 'istio').data.mesh)
    const [provider] = extensionProviders
    const service = one('Service', 'authorizer')
    const { name, namespace } = service.metadata
    assert.equal(provider.envoyExtAuthzGrpc.service, `${name}.${namespace}.svc.cluster.local`)
    assert.equal(provider.envoyExtAuthzGrpc.port, service.spec.ports[0].port)
    assert.equal(one('AuthorizationPolicy', 'ask-authorizer').spec.provider.name, provider.name)
    assert(milliseconds(provider.envoyExtAuthzGrpc.timeout) > milliseconds(authorizer.spec.timeout))
  })

  test('only the workload that asks is let in', () => {
    const web = one('Deployment', 'web')
    const [{ from }] = one('AuthorizationPolicy', 'authorizer-callers').spec.rules
    const { namespace } = web.metadata
    const principal = `cluster.local/ns/${namespace}/sa/${web.spec.template.spec.serviceAccountName}`
    assert.deepEqual(from, [{ source: { principals: [principal] } }])
    const [{ from: peers }] = one('NetworkPolicy', 'authorizer').spec.ingress
    assert.deepEqual(peers, [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }])
  })

  test('every field is one that Kubernetes has', (t) => {
    if (!installed('kubernetes-types')) return t.skip('kubernetes-types is not installed')
    const own = resources.filter(({ apiVersion }) => !apiVersion.includes('istio.io'))
    const lines = own.map((resource, i) => {
      const [group, version = 'v1'] = resource.apiVersion === 'v1' ? ['core'] : resource.apiVersion.split('/')
      const types = `kubernetes-types/${group.replace(/\.k8s\.io$/, '')}/${version}.js`
      return `import type { ${resource.kind} as Kind${i} } from '${types}'\nexport const value${i}: Kind${i} = ${JSON.stringify(resource, null, 2)}\n`
    })
    const output = path.join(root, 'build/deploy-examples')
    rmSync(output, { recursive: true, force: true })
    mkdirSync(output, { recursive: true })
    writeFileSync(path.join(output, 'resources.ts'), lines.join(''))
    const options = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '']
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    const result = spawnSync(process.execPath, [tsc, ...options, path.join(output, 'resources.ts')], {
      encoding: 'utf8',
    })
    assert.equal(result.status, 0, result.stdout)
  })
})

describe('examples/deploy/compose.yaml', () => {
  const compose: Tree = parse(read('compose.yaml'), { merge: true })
  const services: [string, Tree][] = Object.entries(compose.services)

  test('our own decoder finds nothing wrong', () => {
    assert.deepEqual(analyze('compose'), { status: 0, text: 'nothing found\n' })
  })

  test('what is built, mounted and waited for is there', () => {
    for (const [name, { build, volumes = [], depends_on = {}, network_mode }] of services) {
      if (build !== undefined) assert(existsSync(path.join(folder, build.context, build.dockerfile)), name)
      for (const volume of volumes) {
        const [from, to, mode] = volume.split(':')
        assert(existsSync(path.join(folder, from)), volume)
        assert(path.posix.isAbsolute(to) && mode === 'ro', volume)
      }
      const others = [
        ...Object.keys(depends_on),
        ...(network_mode?.startsWith('service:') ? [network_mode.slice(8)] : []),
      ]
      for (const other of others) assert(Object.hasOwn(compose.services, other), `${name} names ${other}`)
      for (const [other, { condition }] of Object.entries<Tree>(depends_on)) {
        if (condition === 'service_healthy') assert.notEqual(compose.services[other].healthcheck, undefined)
      }
    }
  })

  test('keys are those that Compose has', () => {
    const known = new Set(
      ['build', 'cap_drop', 'command', 'depends_on', 'environment', 'healthcheck', 'image', 'init', 'mem_limit'].concat(
        ['network_mode', 'pids_limit', 'ports', 'read_only', 'restart', 'security_opt', 'stop_grace_period', 'tmpfs'],
        ['volumes'],
      ),
    )
    for (const [name, service] of services) {
      assert.deepEqual(
        Object.keys(service).filter((key) => !known.has(key)),
        [],
        name,
      )
    }
  })

  test('what listens on the network is what is asked there', () => {
    const { authorizer, proxy, app } = compose.services
    const [, mesh] = documents('compose/mesh.yaml')
    const listening = parseListenAddress(documents('compose/authorizer.yaml')[0].spec.grpc.listen)
    assert(listening.kind === 'tcp')
    assert.equal(mesh.spec.ports[0].number, listening.port)
    assert(Object.hasOwn(compose.services, mesh.spec.endpoints[0].address))
    assert(authorizer.healthcheck.test.at(-1).endsWith(`:${listening.port}`))
    assert.equal(proxy.network_mode, 'service:app')
    assert.match(app.ports[0], /^127\.0\.0\.1:/)
    assert(milliseconds(authorizer.stop_grace_period) > drainSeconds * 1000)
  })

  test('the image runs the program, and brings what the health check starts', () => {
    const lines = read('Dockerfile').split('\n')
    const entry = JSON.parse(lines.find((line) => line.startsWith('ENTRYPOINT '))?.slice(11) ?? '[]')
    assert.deepEqual(entry, Object.keys(manifest.bin))
    assert(lines.includes('USER node'))
    const majors = lines.flatMap((line) => /^FROM node:(\d+)/.exec(line)?.[1] ?? [])
    assert.deepEqual([majors.length, majors.every((major) => Number(major) > 20)], [2, true])
    const copied = lines.flatMap((line) => /^COPY (?!--from)(\S+) (\S+)$/.exec(line) ?? [])
    assert(copied.includes(compose.services.authorizer.healthcheck.test[2]))
    assert(existsSync(path.join(root, 'examples/deploy/health.mjs')))
  })
})

describe('examples/deploy/systemd', () => {
  const name = 'sallyport-authorizer.service'
  const unit = read(`systemd/${name}`)
  const values = (key: string) => [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value)

  test('it is one file of three sections, with what it takes to run safely', () => {
    assert.deepEqual(readdirSync(path.join(folder, 'systemd')), [name])
    assert.deepEqual(
      [...unit.matchAll(/^\[(\w+)\]$/gm)].map(([, section]) => section),
      ['Unit', 'Service', 'Install'],
    )
    assert.deepEqual(values('ExecStart'), ['/usr/local/bin/sallyport authorizer -f /etc/sallyport'])
    for (const key of ['DynamicUser', 'NoNewPrivileges', 'PrivateTmp', 'ProtectHome'])
      assert.deepEqual(values(key), ['yes'])
    assert.deepEqual(values('CapabilityBoundingSet'), [''])
    assert.deepEqual(values('MemoryDenyWriteExecute'), [])
    assert(Number(values('TimeoutStopSec')[0]) > drainSeconds)
  })

  test('systemd itself finds nothing wrong with it', (t) => {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) return t.skip('systemd-analyze is not here')
    const output = path.join(root, 'build/deploy-examples-systemd')
    mkdirSync(output, { recursive: true })
    // It looks whether the program is there.
    const file = path.join(output, name)
    writeFileSync(file, unit.replace('/usr/local/bin/sallyport', process.execPath))
    const verify = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
    assert.deepEqual([verify.status, verify.stdout + verify.stderr], [0, ''])
    const exposure = ['security', '--offline=true', '--threshold=20', file]
    const security = spawnSync('systemd-analyze', exposure, { encoding: 'utf8' })
    assert.equal(security.status, 0, security.stdout.split('\n').slice(-3).join('\n') + security.stderr)
  })
})

function installed(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`)
    return true
  } catch {
    return false
  }
}
