import type { Option } from '../command.ts'

/** `-f` and `--file`. */
export function namesOf({ name, short }: Option): readonly string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`]
}

/** In single quotes, for any of the shells: a quote inside is left out, since texts for people read well without. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}
