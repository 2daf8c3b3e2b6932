type Painter = (text: string) => string

/** Colours for a terminal; each is the identity where none are wanted. */
export interface Style {
  readonly bold: Painter
  readonly dim: Painter
  readonly red: Painter
  readonly green: Painter
  readonly yellow: Painter
  readonly cyan: Painter
}

export function style(color: boolean): Style {
  const paint = (open: number, close: number): Painter =>
    color ? (text) => `\x1b[${open}m${text}\x1b[${close}m` : (text) => text
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  }
}
