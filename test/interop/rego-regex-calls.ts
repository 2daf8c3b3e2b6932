import type { Call } from './rego-comparison.ts'

const patterns = [
  ...[
    '',
    'a',
    'a|b',
    'ab*',
    'a+?',
    '(a)(b)?',
    '(?P<x>a)|(?P<y>b)',
    '(?<n>[a-c]+)',
    '^',
    '$',
    '^a',
    'a$',
    '(?m)^.',
    '(?m).$',
    '(?s).+',
    '.+',
  ],
  ...[
    '\\d+',
    '\\D',
    '\\w+',
    '\\W',
    '\\s',
    '\\S+',
    '\\bfoo\\b',
    '\\B',
    '[[:alpha:]]+',
    '[[:^digit:]]',
    '[^a]',
    '[]a]',
    '[^]a]',
    '[a-]',
    '[-a]',
    '[\\d\\-x]',
  ],
  ...[
    '\\pL+',
    '\\p{Greek}',
    '\\PN',
    '\\p{^L}',
    '[\\p{Lu}x]',
    '(?i)é',
    '(?i)[k-s]+',
    '(?i)K',
    '(?i:a)B',
    '(?i)[^a]',
    '(?i)\\w',
    '(?i)\\W',
  ],
  ...[
    'a{2}',
    'a{2,}',
    'a{1,2}?',
    'a{,2}',
    'a{0}',
    'a{x',
    'a{1001}',
    'a{2,1}',
    '(a{100}){100}',
    '(a*)*',
    '(a*)+',
    '(|a)*',
    '(|a)+',
    '(a|b)*?c',
    '(?U)a+',
    '(?U)a+?',
  ],
  ...[
    '\\x41',
    '\\x{1F600}',
    '\\101',
    '\\0',
    '\\1',
    '\\8',
    '\\Qa.b\\E+',
    '\\Q',
    '\\a\\f\\t\\n\\r\\v',
    '\\.',
    '\\_',
    '\\é',
    '\\Z',
    '\\z',
    '\\A',
    '\\C',
    '\\e',
  ],
  ...[
    '(',
    ')',
    '[',
    'a**',
    'a+*',
    '*',
    '+a',
    '(?',
    '(?z)',
    '(?P<1>a)',
    '(?P<a>a)(?P<a>b)',
    '(?=a)',
    '[z-a]',
    '[a-\\d]',
    '[[:foo:]]',
    '\\p{Foo}',
    '(?i-)',
    '(?-i:a)',
    'a{2}{3}',
    'x|',
    '|',
    '()',
  ],
  ...[
    '(?i)(?-i)A',
    '((?i)a)b',
    'a(?i)b|c',
    '[a-b-c]',
    '[\\Q]\\E]',
    'a{01}',
    'a{1,02}',
    '[[:word:]]+',
    'é+',
    '😀',
    '[😀-😂]',
    '(?:)',
    '(?:a|b)+',
    '(a)|b|(c)',
    '[[:alpha:]',
    '\\pZ',
    '(a+)(b+)?(c+)?',
  ],
]

const bases = [
  '',
  'a',
  'aab',
  'b',
  'ab aB foo.bar_1 Ä',
  'xéÉ€Ω😀😁\n\tz',
  'a\nb\nc',
  'K\u212Aſs',
  'a.ba.b]-',
  '\u0000A\u0007',
  'aaaa',
  'abcabc',
]

const braced = (name: string) => `$\{${name}}`

const templates = [
  '',
  'x',
  '$0',
  '[$1]',
  `${braced('1')}a$1a`,
  '$x-$y',
  braced('n'),
  '$$',
  '$',
  '$9',
  '${',
  '$01',
  '\\1',
  '${x',
  '$é',
  '$1$2$3',
]

/** Expressions at random, from a seed that stays the same. */
function randomPatterns(count: number): string[] {
  let seed = 20_260_101
  const random = (limit: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * limit)
  }
  const pick = (list: readonly string[]) => list[random(list.length)] as string
  const make = (depth: number): string => {
    const kind = depth <= 0 ? random(4) : random(10)
    if (kind < 4) return pick(['a', 'b', '.', '[ab]', '\\w', '^', '$', '\\b', 'é', '[^a]', '(?i)A', ''])
    if (kind < 6) return make(depth - 1) + make(depth - 1)
    if (kind < 7) return `(${make(depth - 1)}|${make(depth - 1)})`
    if (kind < 8) return `(?:${make(depth - 1)})${pick(['*', '+', '?', '{2}', '{0,2}', '*?', '+?', '??'])}`
    return `(${make(depth - 1)})${pick(['', '*', '+', '?', '{1,2}'])}`
  }
  return Array.from({ length: count }, () => make(4))
}

const drawn = randomPatterns(300)

export const regexCalls: readonly Call[] = [
  ...patterns.flatMap((pattern) =>
    bases.flatMap((base): Call[] => [
      ['regex.find_n', pattern, base, -1],
      ['regex.split', pattern, base],
      ['regex.replace', base, pattern, '<$0>'],
    ]),
  ),
  ...drawn.flatMap((pattern) =>
    ['', 'a', 'abab', 'a b aab', 'éa\nB_'].flatMap((base): Call[] => [
      ['regex.find_n', pattern, base, -1],
      ['regex.split', pattern, base],
      ['regex.replace', base, pattern, '<$0|$1|$2>'],
    ]),
  ),
  ...templates.flatMap((template) =>
    ['(a)(b)?', '(?P<x>a)|(?P<y>b)', '(?P<n>b)', ''].map(
      (pattern): Call => ['regex.replace', 'aab', pattern, template],
    ),
  ),
  ...[0, 1, 2, -1, -5, 1.5, '1'].map((n): Call => ['regex.find_n', 'a', 'aaa', n]),
  ...['urn:foo:{.*}', 'urn:{[a-z]+}:{(x|y)}', '{{a}}', '{a', 'a}', '', 'a.b', '{[}', '{a}{b}'].flatMap((template) =>
    ['urn:foo:bar', 'urn:abc:x', 'a', 'axb', 'a.b', 'ab', '', '{a}'].map(
      (base): Call => ['regex.template_match', template, base, '{', '}'],
    ),
  ),
  ['regex.template_match', '<.*>', 'x', '<', '>'],
  ['regex.template_match', '<.*>', 'x', '<<', '>'],
  ['regex.template_match', '<.*>', 'x', '', '>'],
  ['regex.template_match', '|a|', 'a', '|', '|'],
  ['regex.find_n', 5, 'a', 1],
  ['regex.split', null, 'a'],
]
