/** So much is compared at once, as one block of memory. */
const BLOCK = 1 << 16

/** The length of the longest common prefix. */
export function commonPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  for (let block = BLOCK; block >= 1; block >>= 1) {
    while (length + block <= most && a.slice(length, length + block) === b.slice(length, length + block))
      length += block
  }
  return length
}

/** The length of the longest common suffix. */
export function commonSuffix(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  const end = (text: string, length: number, block: number) =>
    text.slice(text.length - length - block, text.length - length)
  let length = 0
  for (let block = BLOCK; block >= 1; block >>= 1) {
    while (length + block <= most && end(a, length, block) === end(b, length, block)) length += block
  }
  return length
}
