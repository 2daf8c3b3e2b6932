import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type Level } from './log.ts'

const noon = Date.UTC(2026, 0, 2, 12)

function logged(level: Level, format: 'text' | 'json', use: (log: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = []
  use(createLogger({ level, format, write: (line) => lines.push(line), now: () => noon }))
  return lines
}

test('text lines carry time, level, message and fields', () => {
  const lines = logged('info', 'text', (log) =>
    log.info('listening', { address: '127.0.0.1:80', workload: 'a b', tls: true }),
  )
  assert.deepEqual(lines, ['2026-01-02T12:00:00.000Z info  listening address=127.0.0.1:80 workload="a b" tls=true\n'])
})

test('JSON lines are one object each, and fields cannot replace the line’s own', () => {
  const [line] = logged('debug', 'json', (log) => log.warn('odd', { level: 'debug', at: [1, 2], gone: undefined }))
  assert.deepEqual(JSON.parse(line as string), {
    time: '2026-01-02T12:00:00.000Z',
    level: 'warn',
    message: 'odd',
    at: [1, 2],
  })
})

test('lines below the level are not written', () => {
  const lines = logged('warn', 'text', (log) => {
    log.debug('one')
    log.info('two')
    log.warn('three')
    log.error('four')
  })
  assert.deepEqual(
    lines.map((line) => line.trimEnd().slice(-5).trim()),
    ['three', 'four'],
  )
})

test('a message stays one line whatever a peer put into it', () => {
  const [line] = logged('info', 'text', (log) => log.info('from peer\r\n2026 error forged\u001b[2J', { path: '/a\nb' }))
  assert.equal(line?.match(/\n/g)?.length, 1)
  assert.ok(!line?.includes('\u001b') && !line?.includes('\r'))
})

test('what JSON cannot hold is told in words and long values are cut', () => {
  const loop: Record<string, unknown> = {}
  loop.self = loop
  const [line] = logged('info', 'json', (log) =>
    log.info('x'.repeat(10_000), { loop, big: 1n, error: new Error('refused'), list: Array(9000).fill(1) }),
  )
  const parsed = JSON.parse(line as string)
  assert.equal(parsed.loop, '[not printable]')
  assert.equal(parsed.big, '[not printable]')
  assert.equal(parsed.error, 'refused')
  assert.ok((line as string).length < 9000)
})
