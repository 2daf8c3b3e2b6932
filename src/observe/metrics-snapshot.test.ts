import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsRegistry } from './metrics.ts'
import { renderSnapshot, sumSnapshots, withoutGauges } from './metrics-snapshot.ts'

function registry(by: number): MetricsRegistry {
  const metrics = new MetricsRegistry()
  metrics.counter('c', 'C.', ['a']).cell(['x']).value += by
  metrics.gauge('g', 'G.').cell().value = by
  const distribution = metrics.histogram('h', 'H.', [1, 2]).cell()
  for (let i = 0; i < by; i++) distribution.observe(1.5)
  return metrics
}

test('snapshots of several processes are one page, every series the sum', () => {
  const one = registry(1)
  one.counter('only', 'O.').inc([], 5)
  const other = registry(2)
  other.counter('later', 'L.').inc()
  // As they come from another process.
  const snapshots = [one, other].map((metrics) => JSON.parse(JSON.stringify(metrics.snapshot())))
  const text = renderSnapshot(sumSnapshots(snapshots))
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(samples, [
    'c{a="x"} 3',
    'g 3',
    'h_bucket{le="1"} 0',
    'h_bucket{le="2"} 3',
    'h_bucket{le="+Inf"} 3',
    'h_sum 4.5',
    'h_count 3',
    'only 5',
    'later 1',
  ])
  assert.equal(text.match(/^# TYPE c /gm)?.length, 1)
})

test('what a process that has ended had counted counts on, what it held does not', () => {
  const text = renderSnapshot(withoutGauges(registry(1).snapshot()))
  assert.match(text, /^c\{a="x"\} 1$/m)
  assert.match(text, /^h_count 1$/m)
  assert.doesNotMatch(text, /^g /m)
})
