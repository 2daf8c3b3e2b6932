import type { Labels } from './resource.ts'

/** Whether labels have everything that a selector asks for; an empty selector asks for nothing. */
export function selects(selector: Labels, labels: Labels): boolean {
  for (const [key, value] of Object.entries(selector)) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false
  }
  return true
}

/** The value of a label or an annotation, or null. */
export function labelOf(labels: Labels, name: string): string | null {
  return Object.hasOwn(labels, name) ? (labels[name] as string) : null
}
