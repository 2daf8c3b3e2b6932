import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder } from './decoder.ts'
import { HpackEncoder } from './encoder.ts'
import { huffmanLength, readHuffman, writeHuffman } from './huffman.ts'
import { staticNames, staticValues } from './static-table.ts'

const limits = { table: 4096, list: 65_536, fields: 100 }
const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

function fieldsOf(decoder: HpackDecoder, block: Uint8Array): readonly string[] {
  const decoded = decoder.decode(block)
  return decoded.kind === 'fields' ? decoded.fields : assert.fail(JSON.stringify(decoded))
}

test('the requests of RFC 7541, C.3 and C.4', () => {
  const first = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com']
  const second = [...first, 'cache-control', 'no-cache']
  const third = [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com']
  for (const blocks of [
    [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
    [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
  ]) {
    const decoder = new HpackDecoder(limits)
    assert.deepEqual(fieldsOf(decoder, bytes(blocks[0] as string)), first)
    assert.deepEqual(fieldsOf(decoder, bytes(blocks[1] as string)), second)
    assert.deepEqual(fieldsOf(decoder, bytes(blocks[2] as string)), [...third, 'custom-key', 'custom-value'])
  }
})

test('the responses of RFC 7541, C.6: fields leave a small table', () => {
  const decoder = new HpackDecoder({ ...limits, table: 256 })
  const blocks = [
    '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    '4883640effc1c0bf',
    '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
  ]
  const common = [
    'cache-control',
    'private',
    'date',
    'Mon, 21 Oct 2013 20:13:21 GMT',
    'location',
    'https://www.example.com',
  ]
  assert.deepEqual(fieldsOf(decoder, bytes(blocks[0] as string)), [':status', '302', ...common])
  assert.deepEqual(fieldsOf(decoder, bytes(blocks[1] as string)), [':status', '307', ...common])
  const third = fieldsOf(decoder, bytes(blocks[2] as string))
  assert.deepEqual(third.slice(0, 8), [
    ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ...['location', 'https://www.example.com'],
  ])
  assert.deepEqual(third.slice(8), [
    ...['content-encoding', 'gzip'],
    ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ])
})

test('the static table has 61 fields', () => {
  assert.equal(staticNames.length, 62)
  assert.deepEqual(
    [staticNames[32], staticNames[61], staticValues[16]],
    ['cookie', 'www-authenticate', 'gzip, deflate'],
  )
})

const octets = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
})

test('every text is read from its Huffman code', () => {
  fc.assert(
    fc.property(octets, (text) => {
      const room = new Uint8Array(huffmanLength(text) + 2)
      const end = writeHuffman(text, room, 1)
      assert.equal(end, huffmanLength(text) + 1)
      assert.equal(readHuffman(room, 1, end), text)
    }),
    { numRuns: 2000 },
  )
  const long = 'a'.repeat(20_000)
  const room = new Uint8Array(huffmanLength(long))
  assert.equal(readHuffman(room, 0, writeHuffman(long, room, 0)), long)
})

test('a padding that is too long or not of ones, and EOS, are no Huffman code', () => {
  for (const hex of ['1fff', '18', 'ffffffff', 'fffffffc', 'ff']) {
    assert.equal(readHuffman(bytes(hex), 0, hex.length / 2), null, hex)
  }
  assert.equal(readHuffman(bytes('1f'), 0, 1), 'a')
  assert.equal(readHuffman(bytes(''), 0, 0), '')
})

const name = fc.oneof(
  fc.constantFrom(':path', ':status', 'authorization', 'x-a', 'x-request-id', 'content-type', 'cookie', 'grpc-status'),
  fc.stringMatching(/^[a-z-]{1,40}$/),
)
const value = fc.oneof(
  fc.constantFrom('', '200', '/', 'v', 'application/grpc'),
  octets,
  fc.string({ maxLength: 700 }).map(latin1),
)
const field = fc.tuple(name, value)

function latin1(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

test('what is encoded is decoded, message after message, through changes of the table', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.option(fc.constantFrom(0, 40, 100, 300, 4096)), fc.array(field, { maxLength: 12 })), {
        maxLength: 12,
      }),
      (messages) => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder({ ...limits, table: 4096 })
        for (const [limit, message] of messages) {
          if (limit !== null) encoder.resize(limit)
          const fields = message.flat()
          assert.deepEqual(fieldsOf(decoder, encoder.encode(fields)), fields)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('what repeats is one octet, and a secret is never kept', () => {
  const encoder = new HpackEncoder()
  const message = [':status', '200', 'x-team', 'web', 'authorization', 'Bearer abc']
  const first = encoder.encode(message)
  const second = encoder.encode(message)
  assert.ok(first.length > second.length)
  assert.deepEqual([...second.slice(0, 3)], [0x88, 0x80 | 62, 0x10 | 15])
})

test('octets from anybody end in fields or in a reason', () => {
  const decoder = new HpackDecoder({ table: 200, list: 500, fields: 5 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
      const { kind } = decoder.decode(block)
      assert.ok(['fields', 'tooLarge', 'broken'].includes(kind))
    }),
    { numRuns: 20_000 },
  )
})

test('a block that is too large leaves the tables in step', () => {
  const decoder = new HpackDecoder({ table: 4096, list: 300, fields: 4 })
  const encoder = new HpackEncoder()
  const many = Array.from({ length: 10 }, (_, i) => [`x-${i}`, `value-${i}`]).flat()
  assert.deepEqual(decoder.decode(encoder.encode(many)), { kind: 'tooLarge' })
  assert.deepEqual(fieldsOf(decoder, encoder.encode(['x-9', 'value-9', 'x-1', 'value-1'])), [
    'x-9',
    'value-9',
    'x-1',
    'value-1',
  ])
  const bomb = Buffer.concat([encoder.encode(['x-long', 'a'.repeat(400)]), Buffer.alloc(100_000, 0x80 | 62)])
  assert.deepEqual(decoder.decode(bomb), { kind: 'tooLarge' })
})

test('indices, sizes and lengths that are not there are broken blocks', () => {
  for (const hex of [
    '80',
    'be',
    '7f00',
    '3fe21f',
    '823f',
    '40',
    '4001',
    '4001617f',
    '00ff',
    'ffffffffffffff',
    '410f77',
    '0085ffffffffff',
  ]) {
    assert.equal(new HpackDecoder(limits).decode(bytes(hex)).kind, 'broken', hex)
  }
})
