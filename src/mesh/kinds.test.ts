import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'

/** `code line:column message | help`. */
function problems(text: string): string[] {
  return loadMesh(parseSource('a.yaml', text).documents).diagnostics.map(
    (d) => `${d.code} ${d.line}:${d.column} ${d.message}${d.help === undefined ? '' : ` | ${d.help}`}`,
  )
}

test('kinds and versions that look like ours are errors, others are skipped', () => {
  const cases: [string, string, string | null][] = [
    [
      'security.istio.io/v1',
      'Authorization',
      'SP102 2:1 `Authorization` is not a kind of `security.istio.io` | write `kind: AuthorizationPolicy`',
    ],
    [
      'security.istio.io/v1',
      'AuthorisationPolicy',
      'SP102 2:1 `AuthorisationPolicy` is not a kind of `security.istio.io` | write `kind: AuthorizationPolicy`',
    ],
    [
      'security.istio.io/v1beta2',
      'AuthorizationPolicy',
      'SP107 1:1 `security.istio.io/v1beta2` is not a version of AuthorizationPolicy that Istio and Kubernetes accept | write `security.istio.io/v1` or `security.istio.io/v1beta1`',
    ],
    [
      'security.istio.io',
      'AuthorizationPolicy',
      'SP107 1:1 `AuthorizationPolicy` is not a kind of `security.istio.io` | write `apiVersion: security.istio.io/v1`',
    ],
    [
      'security.isto.io/v1',
      'AuthorizationPolicy',
      'SP107 1:1 `security.isto.io/v1` is not an API version that Istio and Kubernetes have | write `security.istio.io/v1`',
    ],
    [
      'networking.istio.io/v1',
      'AuthorizationPolicy',
      'SP107 1:1 `AuthorizationPolicy` is not a kind of `networking.istio.io/v1` | write `apiVersion: security.istio.io/v1`',
    ],
    ['v1', 'Deployment', 'SP107 1:1 `Deployment` is not a kind of `v1` | write `apiVersion: apps/v1`'],
    ['apps/v1', 'Deploymnet', 'SP102 2:1 `Deploymnet` is not a kind of `apps` | write `kind: Deployment`'],
    [
      'sallyport.dev/v1',
      'Authorizer',
      'SP107 1:1 `sallyport.dev/v1` is not a version of Authorizer that Istio and Kubernetes accept | write `sallyport.dev/v1alpha1`',
    ],
    [
      'networking.istio.io/v1',
      'VirtualService',
      'SP108 1:1 VirtualService (networking.istio.io/v1) is not used and was skipped',
    ],
    ['v1', 'Secret', 'SP108 1:1 Secret (v1) is not used and was skipped'],
    ['apps/v1', 'ReplicaSet', 'SP108 1:1 ReplicaSet (apps/v1) is not used and was skipped'],
    ['batch/v1', 'CronJob', 'SP108 1:1 CronJob (batch/v1) is not used and was skipped'],
    [
      'policy.linkerd.io/v1alpha1',
      'AuthorizationPolicy',
      'SP108 1:1 AuthorizationPolicy (policy.linkerd.io/v1alpha1) is not used and was skipped',
    ],
    ['serving.knative.dev/v1', 'Service', 'SP108 1:1 Service (serving.knative.dev/v1) is not used and was skipped'],
    [
      'gateway.networking.k8s.io/v1',
      'HTTPRoute',
      'SP108 1:1 HTTPRoute (gateway.networking.k8s.io/v1) is not used and was skipped',
    ],
    [
      'gateway.networking.k8s.io/v1',
      'HTTPRout',
      'SP102 2:1 `HTTPRout` is not a kind of `gateway.networking.k8s.io` | write `kind: HTTPRoute`',
    ],
    [
      'gateway.networking.k8s.io/v1alpha2',
      'Gateway',
      'SP107 1:1 `gateway.networking.k8s.io/v1alpha2` is not a version of Gateway that Istio and Kubernetes accept | write `gateway.networking.k8s.io/v1` or `gateway.networking.k8s.io/v1beta1`',
    ],
    [
      'gateway.networking.k8s.oi/v1',
      'Gateway',
      'SP107 1:1 `gateway.networking.k8s.oi/v1` is not an API version that Istio and Kubernetes have | write `gateway.networking.k8s.io/v1`',
    ],
    [
      'gateway.networking.x-k8s.io/v1alpha1',
      'XListenerSet',
      'SP108 1:1 XListenerSet (gateway.networking.x-k8s.io/v1alpha1) is not used and was skipped',
    ],
    ['v1', 'Namespace', null],
  ]
  for (const [apiVersion, kind, expected] of cases) {
    const found = problems(`apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: x }\n`)
    // A kind that was guessed is decoded as well.
    assert.deepEqual(found.slice(0, 1), expected === null ? [] : [expected])
  }
})
