import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskHeader, maskTarget } from './mask.ts'

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl'

test('credentials in headers are masked, other values are kept', () => {
  for (const name of ['authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-session-id', 'x-my-token']) {
    assert.equal(maskHeader(name, 'secret'), '[masked]', name)
  }
  assert.equal(maskHeader('x-user', 'alice'), 'alice')
  assert.equal(maskHeader('x-custom', `Custom ${jwt}`), 'Custom [masked]')
})

test('secrets in targets are masked by name and by shape', () => {
  assert.equal(maskTarget('/a?access_token=x&b=1'), '/a?access_token=[masked]&b=1')
  assert.equal(maskTarget('/a?%61ccess_token=x'), '/a?%61ccess_token=[masked]')
  assert.equal(maskTarget(`/a/${jwt}?q=${jwt}&${jwt}`), '/a/[masked]?q=[masked]&[masked]')
  assert.equal(maskTarget('/a?b=%zz'), '/a?b=%zz')
  assert.equal(maskTarget('/a'), '/a')
})
