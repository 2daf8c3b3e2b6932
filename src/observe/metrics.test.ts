import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsRegistry } from './metrics.ts'

test('counters, gauges and histograms are written as Prometheus text', () => {
  const metrics = new MetricsRegistry()
  const requests = metrics.counter('requests_total', 'Requests.', ['code'])
  requests.inc(['200'])
  requests.inc(['200'], 2)
  requests.inc(['a"b\\c\nd'])
  const open = metrics.gauge('open', 'Open\nones.')
  open.add(3)
  open.add(-1)
  const seconds = metrics.histogram('seconds', 'Time.', [0.1, 1], ['who'])
  for (const value of [0.1, 0.5, 7]) seconds.observe(value, ['x'])
  assert.equal(
    metrics.render(),
    [
      '# HELP requests_total Requests.',
      '# TYPE requests_total counter',
      'requests_total{code="200"} 3',
      'requests_total{code="a\\"b\\\\c\\nd"} 1',
      '# HELP open Open\\nones.',
      '# TYPE open gauge',
      'open 2',
      '# HELP seconds Time.',
      '# TYPE seconds histogram',
      'seconds_bucket{who="x",le="0.1"} 1',
      'seconds_bucket{who="x",le="1"} 2',
      'seconds_bucket{who="x",le="+Inf"} 3',
      'seconds_sum{who="x"} 7.6',
      'seconds_count{who="x"} 3',
      '',
    ].join('\n'),
  )
})

test('label sets beyond the limit are counted together', () => {
  const metrics = new MetricsRegistry()
  const counter = metrics.counter('c', 'C.', ['a', 'b'], 2)
  for (let i = 0; i < 10; i++) counter.inc([String(i), 'x'])
  const lines = metrics
    .render()
    .split('\n')
    .filter((line) => line.startsWith('c{'))
  assert.deepEqual(lines, ['c{a="0",b="x"} 1', 'c{a="1",b="x"} 1', 'c{a="other",b="other"} 8'])
})
