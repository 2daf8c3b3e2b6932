import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { blockContains, parseIpBlock } from '../match/ip.ts'
import type { InboundConfig } from './config.ts'
import { ask, echo, inbound, policies, startApplication, startProxy, TestCa } from './support.test.fixture.ts'

const loopback = parseIpBlock('127.0.0.0/8')
assert(loopback !== null)

/** `DENY` for this machine's addresses on `/private`. */
const denyLoopback = policies({
  decide: ({ urlPath, sourceIp }) =>
    urlPath === '/private' && blockContains(loopback, sourceIp)
      ? { kind: 'deny', phase: 'deny', policy: 'ns[foo]-policy[p]-rule[0]' }
      : { kind: 'allow', policy: null },
})

for (const mode of ['DISABLE', 'PERMISSIVE'] as const) {
  test(`a request behind which its client resets the connection is judged by its address, with mTLS ${mode}`, async (t) => {
    const identity = await (await TestCa.create()).identity('spiffe://cluster.local/ns/foo/sa/httpbin')
    const seen: string[] = []
    const application = await startApplication(t, (request, response) => {
      seen.push(request.url ?? '')
      echo(request, response)
    })
    const mtls: InboundConfig['mtls'] = mode === 'DISABLE' ? { mode } : { mode, identity }
    const { port, entries } = await startProxy(t, {
      inbound: [inbound(application.port, { policies: denyLoopback, mtls })],
    })
    for (let i = 0; i < 10; i++) {
      // Leaves a connection to the application open, so that a request that is let through is written at once.
      assert.equal((await ask(port(), { path: '/public' })).status, 200)
      const before = entries.length
      const client = net.connect(port(), '127.0.0.1')
      await once(client, 'connect')
      client.write('GET /private HTTP/1.1\r\nhost: x\r\n\r\n')
      client.resetAndDestroy()
      // The proxy may also find the connection closed before it has read anything: then there is nothing to judge.
      for (let turns = 0; entries.length === before && turns < 200; turns++) await turn()
      assert.equal((await ask(port(), { path: '/public' })).status, 200)
      for (const { decision, request } of entries.slice(before)) {
        if (request.path !== '/public') assert.equal(decision, 'deny')
      }
    }
    assert.deepEqual(
      seen.filter((path) => path !== '/public'),
      [],
    )
  })
}
