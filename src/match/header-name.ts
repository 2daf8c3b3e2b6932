/**
 * One name for all names that an application cannot tell apart which has headers as variables: CGI (RFC 3875, section
 * 4.1.18), WSGI and Rack write `-` as `_`, and PHP a dot too. In lower case, given and taken.
 */
export function foldHeaderName(name: string): string {
  return FOLDED.test(name) ? name.replace(/[_.]/g, '-') : name
}

const FOLDED = /[_.]/
