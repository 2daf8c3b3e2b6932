import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printIp } from '../match/ip.ts'
import { readProxyHeader } from './proxy-protocol.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function binary(versionAndCommand: number, family: number, rest: Buffer): Buffer {
  const head = Buffer.from([versionAndCommand, family, rest.length >> 8, rest.length & 255])
  return Buffer.concat([SIGNATURE, head, rest])
}

/** What a header says, in one text. */
function read(bytes: Buffer): string {
  const header = readProxyHeader(bytes)
  if (header.kind !== 'header') return header.kind
  const { length, ends } = header
  if (ends === null) return `${length} the socket's own`
  const { source, sourcePort, destination, destinationPort } = ends
  return `${length} ${printIp(source)} ${sourcePort} ${printIp(destination)} ${destinationPort}`
}

const v4 = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x22, 0x01, 0xbb])
const v6 = Buffer.from('20010db800000000000000000000000120010db8000000000000000000000002112201bb', 'hex')
const extension = (type: number, size: number) => {
  const head = Buffer.from([type, size >> 8, size & 255])
  return Buffer.concat([head, Buffer.alloc(size, 0x61)])
}

test('version 1', () => {
  const longest = `PROXY TCP6 ${'ffff:'.repeat(7)}fffe`
  const cases: readonly [text: string, expected: string][] = [
    ['PROXY TCP4 1.2.3.4 5.6.7.8 4386 443\r\n', '37 1.2.3.4 4386 5.6.7.8 443'],
    ['PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\nGET', '40 2001:db8::1 1 2001:db8::2 2'],
    ['PROXY UNKNOWN\r\n', "15 the socket's own"],
    ['PROXY UNKNOWN ffff::1 junk\r\n', "28 the socket's own"],
    [`PROXY UNKNOWN ${'a'.repeat(91)}\r\n`, "107 the socket's own"],
    [`PROXY UNKNOWN ${'a'.repeat(92)}\r\n`, 'malformed'],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n', '36 1.2.3.4 0 5.6.7.8 65535'],
    ...[
      ...['GET / HTTP/1.1\r\n', 'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n', ' PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
      ...[
        'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
        'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
        'PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n',
      ],
      ...['PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n', 'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n', 'PROXY TCP4 ::1 ::1 1 2\r\n'],
      ...[
        'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
        'PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n',
        'PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n',
      ],
      ...[
        'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
        'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n',
        'PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n',
      ],
      ...[
        'PROXY TCP6 fe80::1%lo ::2 1 2\r\n',
        'PROXY TCP4 224.0.0.1 5.6.7.8 1 2\r\n',
        'PROXY TCP4 0.0.0.0 5.6.7.8 1 2\r\n',
      ],
      ...[
        'PROXY TCP6 :: ::2 1 2\r\n',
        'PROXY TCP6 ff02::1 ::2 1 2\r\n',
        'PROXY\r\n',
        'PROXY TCP4\r\n',
        'PROXY UNKNOWNX\r\n',
      ],
    ].map((text): [string, string] => [text, 'malformed']),
    ['', 'more'],
    ['PRO', 'more'],
    [longest, 'more'],
    [`PROXY TCP4 ${'1'.repeat(96)}`, 'malformed'],
  ]
  for (const [text, expected] of cases) assert.equal(read(Buffer.from(text, 'latin1')), expected, JSON.stringify(text))
})

test('version 2', () => {
  const cases: readonly [bytes: Buffer, expected: string][] = [
    [binary(0x21, 0x11, v4), '28 1.2.3.4 4386 5.6.7.8 443'],
    [binary(0x21, 0x21, v6), '52 2001:db8::1 4386 2001:db8::2 443'],
    [binary(0x21, 0x12, v4), '28 1.2.3.4 4386 5.6.7.8 443'],
    [binary(0x20, 0x00, Buffer.alloc(0)), "16 the socket's own"],
    [binary(0x20, 0x11, v4), "28 the socket's own"],
    [binary(0x21, 0x11, Buffer.concat([v4, extension(2, 5), extension(4, 0)])), '39 1.2.3.4 4386 5.6.7.8 443'],
    [binary(0x21, 0x11, Buffer.concat([v4, extension(0xe0, 65520)])), '65551 1.2.3.4 4386 5.6.7.8 443'],
    ...[
      ...[binary(0x21, 0x00, Buffer.alloc(0)), binary(0x21, 0x31, Buffer.alloc(216)), binary(0x21, 0x41, v4)],
      ...[binary(0x21, 0x01, v4), binary(0x21, 0x13, v4), binary(0x22, 0x11, v4), binary(0x11, 0x11, v4)],
      ...[binary(0x31, 0x11, v4), binary(0x21, 0x11, v4.subarray(0, 8)), binary(0x21, 0x21, v4)],
      ...[binary(0x21, 0x11, Buffer.concat([v4, Buffer.from([2])])), binary(0x21, 0x11, Buffer.alloc(12))],
      ...[
        binary(0x21, 0x11, Buffer.concat([v4, Buffer.from([2, 0, 9, 1])])),
        binary(0x21, 0x21, Buffer.alloc(36, 0xff)),
      ],
      ...[Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from([0x0b])])],
    ].map((bytes): [Buffer, string] => [bytes, 'malformed']),
    [SIGNATURE, 'more'],
    [binary(0x21, 0x11, v4).subarray(0, 27), 'more'],
  ]
  for (const [bytes, expected] of cases) assert.equal(read(bytes), expected, bytes.toString('hex').slice(0, 80))
})

test('how bytes are cut into pieces changes nothing, and what is asked for is bounded', () => {
  const piece = fc.constantFrom(
    ...[
      'PROXY ',
      'TCP4 ',
      'TCP6 ',
      'UNKNOWN',
      '1.2.3.4 ',
      '::1 ',
      '80',
      ' ',
      '\r\n',
      '\0',
      '\x21\x11',
      '\x20\0',
      '\0\x0c',
    ],
    ...[SIGNATURE.toString('latin1'), v4.toString('latin1'), v6.toString('latin1'), '\xe0\0\x01a'],
  )
  const bytes = fc
    .array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 })
    .map((pieces) => Buffer.from(pieces.join(''), 'latin1'))
  fc.assert(
    fc.property(bytes, (whole) => {
      const expected = readProxyHeader(whole)
      let wanted = 1
      for (let size = 1; size <= whole.length; size++) {
        if (size < wanted) continue
        const found = readProxyHeader(whole.subarray(0, size))
        if (found.kind === 'more') {
          assert.ok(found.wanted > size && found.wanted <= 16 + 65535)
          wanted = found.wanted
          continue
        }
        assert.deepEqual(found, expected)
        if (found.kind === 'header') assert.ok(found.length <= size)
        return
      }
      assert.notEqual(expected.kind, 'header')
    }),
    { numRuns: 2000 },
  )
})
