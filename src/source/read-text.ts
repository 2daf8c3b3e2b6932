/** Bytes of one text that is read whole. */
const MOST_BYTES = 256 * 1024 * 1024

/** Text in UTF-8, without a byte order mark. Throws what the stream throws, and where the text is none or too long. */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES >> 20} MiB`)
    parts.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}

/** Why a file cannot be read, in words. */
export function readFailure(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file or folder'
    case 'ENOTDIR':
      return 'a part of the path is no folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EISDIR':
      return 'is a folder'
    case 'ELOOP':
      return 'symbolic links lead in a circle'
    case 'ENAMETOOLONG':
      return 'the name is too long'
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'the file is not UTF-8 text'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}
