import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printDiagnostic } from './diagnostics.ts'
import { style } from './style.ts'

test('what a file says never moves the cursor, forges a line or turns the text', () => {
  const written = 'a\u001b[2Jb\r\nc: error\u0085\u2028\u202e'
  const text = printDiagnostic(
    {
      code: 'SP215',
      severity: 'error',
      file: 'a\nb.yaml',
      line: 1,
      column: 2,
      message: written,
      help: `${written}\nd`,
    },
    style(false),
  )
  assert.equal(
    text,
    'a\\u000ab.yaml:1:2: error: a\\u001b[2Jb\\u000d\\u000ac: error\\u0085\\u2028\\u202e [SP215]\n' +
      '    a\\u001b[2Jb\\u000d\n    c: error\\u0085\\u2028\\u202e\n    d\n',
  )
})
