/**
 * The Huffman code of RFC 7541, appendix B. It is canonical: codes are handed out by length and, within a length, by
 * octet, so that the octets of each length are all that has to be known. 256 is the end of the string (EOS).
 */
const octetsByLength: readonly (readonly [length: number, octets: readonly number[]])[] = [
  [5, [48, 49, 50, 97, 99, 101, 105, 111, 115, 116]],
  [6, [32, 37, 45, 46, 47, ...range(51, 57), 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117]],
  [7, [58, ...range(66, 87), 89, 106, 107, 113, ...range(118, 122)]],
  [8, [38, 42, 44, 59, 88, 90]],
  [10, [33, 34, 40, 41, 63]],
  [11, [39, 43, 124]],
  [12, [35, 62]],
  [13, [0, 36, 64, 91, 93, 126]],
  [14, [94, 125]],
  [15, [60, 96, 123]],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198,
      228, 232, 233,
    ],
  ],
  [
    23,
    [
      1,
      135,
      ...range(137, 141),
      143,
      147,
      ...range(149, 152),
      155,
      157,
      158,
      165,
      166,
      168,
      174,
      175,
      180,
      182,
      183,
      188,
      191,
      197,
      231,
      239,
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, ...range(244, 248), ...range(250, 254)]],
  [28, [...range(2, 8), 11, 12, ...range(14, 21), ...range(23, 31), 127, 220, 249]],
  [30, [10, 13, 22, 256]],
]

const EOS = 256
const codes = new Uint32Array(EOS + 1)
const lengths = new Uint8Array(EOS + 1)
assignCodes()

/**
 * The code as a machine that reads four bits at a time. A state is an inner node of the code's tree; an entry is the next
 * state in its low bits, then whether an octet was completed, then the octet. No code is shorter than five bits, so that
 * four never complete two.
 */
const STATE_BITS = 8
const STATE_MASK = (1 << STATE_BITS) - 1
const COMPLETES = 1 << STATE_BITS
const OCTET_SHIFT = STATE_BITS + 1
const FAILS = 1 << 20
const steps = new Uint32Array(EOS * 16)
/** Whether a string may end in a state: what follows the last whole code must be fewer than eight bits, all of them 1. */
const ends = new Uint8Array(EOS)
buildMachine()

/** How many octets a string of octets (as Latin-1) takes when it is coded. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] as number
  return (bits + 7) >>> 3
}

/** Writes a string of octets at `at`, and says where it ends. The room must be there. */
export function writeHuffman(text: string, to: Uint8Array, at: number): number {
  let position = at
  let pending = 0
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i) & 0xff
    const code = codes[octet] as number
    let left = lengths[octet] as number
    while (left > 0) {
      const take = Math.min(8 - count, left)
      left -= take
      pending = (pending << take) | ((code >>> left) & ((1 << take) - 1))
      count += take
      if (count < 8) continue
      to[position++] = pending
      pending = 0
      count = 0
    }
  }
  // The rest of the last octet is the beginning of EOS, which is all ones.
  if (count > 0) to[position++] = (pending << (8 - count)) | (0xff >>> count)
  return position
}

/** The string of octets (as Latin-1) that stands coded between `from` and `to`; null when it is none. */
export function readHuffman(bytes: Uint8Array, from: number, to: number): string | null {
  // No code is shorter than five bits.
  const most = ((to - from) * 8) / 5
  const text = most <= scratch.length ? scratch : Buffer.allocUnsafe(Math.ceil(most))
  let length = 0
  let state = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number
    const high = steps[(state << 4) | (byte >>> 4)] as number
    if ((high & COMPLETES) !== 0) text[length++] = high >>> OCTET_SHIFT
    const low = steps[((high & STATE_MASK) << 4) | (byte & 15)] as number
    if ((low & COMPLETES) !== 0) text[length++] = low >>> OCTET_SHIFT
    if (((high | low) & FAILS) !== 0) return null
    state = low & STATE_MASK
  }
  return ends[state] === 1 ? text.toString('latin1', 0, length) : null
}

/** For one string at a time, before it is one. */
const scratch = Buffer.allocUnsafe(8192)

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function assignCodes(): void {
  let code = 0
  let before = 0
  for (const [length, octets] of octetsByLength) {
    code <<= length - before
    before = length
    for (const octet of octets) {
      codes[octet] = code++
      lengths[octet] = length
    }
  }
}

function buildMachine(): void {
  // Two children each: another inner node, or -1 - octet.
  const children: (readonly [number, number] | number[])[] = [[]]
  for (let octet = 0; octet <= EOS; octet++) {
    const length = lengths[octet] as number
    let node = 0
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = ((codes[octet] as number) >>> bit) & 1
      const place = children[node] as number[]
      if (bit === 0) place[side] = -1 - octet
      else {
        if (place[side] === undefined) place[side] = children.push([]) - 1
        node = place[side] as number
      }
    }
  }
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < 16; bits++) steps[(state << 4) | bits] = stepFrom(children, state, bits)
  }
  for (let depth = 0, node = 0; depth < 8; depth++) {
    ends[node] = 1
    node = children[node]?.[1] as number
  }
}

function stepFrom(children: readonly (readonly number[])[], state: number, bits: number): number {
  let node = state
  let completed = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node]?.[(bits >>> bit) & 1] as number
    if (next >= 0) node = next
    else if (next === -1 - EOS) return FAILS
    else {
      completed = COMPLETES | ((-1 - next) << OCTET_SHIFT)
      node = 0
    }
  }
  return completed | node
}
