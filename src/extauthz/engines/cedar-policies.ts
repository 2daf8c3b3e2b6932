import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import { walkFolder } from '../../source/folders.ts'
import { readFailure } from '../../source/read-text.ts'
import type { Cedar } from './cedar-library.ts'
import type { EngineLoading } from './engine.ts'
import { failedWith } from './policy-files.ts'
import { readTextFile } from './text-file.ts'

const MOST_BYTES = 4 * 1024 * 1024
const MOST_FILES = 1000

/** One policy: its name is its annotation `@id`, or where it stands. */
export interface CedarPolicy {
  readonly name: string
  readonly text: string
  readonly json: PolicyJson
}

/** A file with all of its policies. */
export interface CedarFile {
  readonly file: string
  readonly text: string
  readonly policies: readonly CedarPolicy[]
}

type Failed = Extract<EngineLoading, { readonly kind: 'failed' }>

export type ReadCedarPolicies = { readonly kind: 'read'; readonly files: readonly CedarFile[] } | Failed

/** Every policy of a `.cedar` file, or of all of a folder. */
export async function readPolicies(path: string, cedar: Cedar): Promise<ReadCedarPolicies> {
  const names = await namesIn(path)
  if ('kind' in names) return names
  const files: CedarFile[] = []
  const problems: Diagnostic[] = []
  for (const file of names) {
    const read = await readTextFile(file, MOST_BYTES)
    if (read.kind === 'failed') return read
    // Somebody is about to write it anew, and what it forbade must not be missed until then.
    if (read.text.trim() === '' && names.length > 1) return { kind: 'failed', message: `${file}: the file is empty` }
    const parsed = parsePolicies(file, read.text, cedar)
    if (parsed.kind === 'problems') problems.push(...parsed.problems)
    else files.push(parsed.file)
  }
  problems.push(...repeatedNames(files))
  if (problems.length > 0) return failedWith(problems)
  if (files.every(({ policies }) => policies.length === 0)) {
    return { kind: 'failed', message: `${path}: no policy, so that every request would be refused` }
  }
  return { kind: 'read', files }
}

async function namesIn(path: string): Promise<readonly string[] | Failed> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names: string[] = []
    await walkFolder(path, {
      entry({ name, path: file }) {
        if (name.endsWith('.cedar')) names.push(file)
      },
    })
    if (names.length === 0) return { kind: 'failed', message: `${path}: the folder holds no .cedar file` }
    if (names.length > MOST_FILES) return { kind: 'failed', message: `${path}: more than ${MOST_FILES} files` }
    return names
  } catch (error) {
    return { kind: 'failed', message: `${path}: ${readFailure(error)}` }
  }
}

function parsePolicies(
  file: string,
  text: string,
  cedar: Cedar,
):
  | { readonly kind: 'file'; readonly file: CedarFile }
  | { readonly kind: 'problems'; readonly problems: readonly Diagnostic[] } {
  const checked = cedar.checkParsePolicySet({ staticPolicies: text })
  if (checked.type === 'failure') return problems(file, text, checked.errors)
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') return problems(file, text, parts.errors)
  if (parts.policy_templates.length > 0) {
    const message = 'a template (`?principal`, `?resource`) decides nothing without links, which there are none of here'
    return { kind: 'problems', problems: [diagnostic('SP502', { file }, message)] }
  }
  const policies: CedarPolicy[] = []
  for (const part of parts.policies) {
    const json = cedar.policyToJson(part)
    if (json.type === 'failure') return problems(file, text, json.errors)
    const { annotations = {} } = json.json
    const name = annotations.id ?? unusedName(policies, placeName(file, text, part))
    policies.push({ name, text: part, json: json.json })
  }
  return { kind: 'file', file: { file, text, policies } }
}

/** `policy.cedar:12`. */
function placeName(file: string, text: string, part: string): string {
  return `${basename(file)}:${text.slice(0, Math.max(0, text.indexOf(part))).split('\n').length}`
}

/** Several may stand in one line, or say the same. */
function unusedName(policies: readonly CedarPolicy[], wanted: string): string {
  const same = policies.filter(({ name }) => name === wanted || name.startsWith(`${wanted}#`)).length
  return same === 0 ? wanted : `${wanted}#${same + 1}`
}

function repeatedNames(files: readonly CedarFile[]): readonly Diagnostic[] {
  const seen = new Set<string>()
  const problems: Diagnostic[] = []
  for (const { file, policies } of files) {
    for (const { name } of policies) {
      if (seen.has(name)) problems.push(diagnostic('SP502', { file }, `two policies are called \`${name}\``))
      seen.add(name)
    }
  }
  return problems
}

function problems(file: string, text: string, errors: readonly DetailedError[]) {
  return { kind: 'problems', problems: errors.map((error) => problemIn(file, text, error)) } as const
}

/** An error of Cedar's at its place; offsets count bytes of UTF-8. */
export function problemIn(file: string, text: string, error: DetailedError): Diagnostic {
  const [location] = error.sourceLocations ?? []
  const place = location === undefined ? {} : placeAt(text, location.start)
  const label = location?.label ?? null
  const help = [error.help, label].filter((part) => part !== null && part !== '').join('; ')
  return diagnostic('SP502', { file, ...place }, error.message, help === '' ? {} : { help })
}

function placeAt(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = Buffer.from(text, 'utf8').subarray(0, offset).toString('utf8').split('\n')
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
}
