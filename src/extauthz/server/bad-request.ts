/**
 * Thrown by what reads a request when that cannot be read, or can be read in two ways. A check need not catch it: the
 * request is refused with `status` and nothing else, and the log tells of it only at level debug, because any client can
 * cause it.
 */
export class BadRequest extends Error {
  override readonly name = 'BadRequest'
  /** 400 unless the request is too large (413) or of a type that is not read (415). */
  readonly status: 400 | 413 | 415

  /** `message` is for the log: it must not quote the request. */
  constructor(message: string, status: 400 | 413 | 415 = 400) {
    super(message)
    this.status = status
  }
}
