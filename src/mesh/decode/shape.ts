/** What a decoder accepts, as data, so that a misplaced field can be told where it belongs. */
export type Shape =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'list'; readonly of: Shape }
  | { readonly kind: 'map'; readonly of: Shape }
  | { readonly kind: 'record'; readonly fields: ReadonlyMap<string, Shape> }

export const LEAF: Shape = { kind: 'leaf' }

/** Each field name of a shape with the first place that has it, such as `spec.rules[].to[].operation`. */
export function fieldPlaces(shape: Shape): ReadonlyMap<string, string> {
  const places = new Map<string, string>()
  const queue: { readonly shape: Shape; readonly place: string }[] = [{ shape, place: '' }]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { shape: at, place } = next
    switch (at.kind) {
      case 'leaf':
        break
      case 'list':
        queue.push({ shape: at.of, place: `${place}[]` })
        break
      case 'map':
        queue.push({ shape: at.of, place: `${place}.*` })
        break
      case 'record':
        for (const [name, field] of at.fields) {
          if (!places.has(name)) places.set(name, place)
          queue.push({ shape: field, place: place === '' ? name : `${place}.${name}` })
        }
        break
      default:
        at satisfies never
    }
  }
  return places
}
