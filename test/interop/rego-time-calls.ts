import type { Call } from './rego-comparison.ts'

const layouts = [
  ...[
    'ANSIC',
    'UnixDate',
    'RubyDate',
    'RFC822',
    'RFC822Z',
    'RFC850',
    'RFC1123',
    'RFC1123Z',
    'RFC3339',
    'RFC3339Nano',
    '',
  ],
  ...[
    '2006-01-02',
    '02/01/06 3:04:05PM',
    'Jan _2 2006 at 3:04pm (MST)',
    '__2 002 2006',
    '15:04:05.000',
    '15:04:05,999999',
  ],
  ...[
    'Monday Mon January Jan',
    '-0700 -07:00 -07 -070000 -07:00:00',
    'Z0700 Z07:00 Z07 Z070000 Z07:00:00',
    '1 01 2 02 3 03 4 04 5 05',
  ],
  ...[
    '_2006',
    'Month',
    'Monthly Januaryx',
    '05.0000000000',
    'no layout',
    '2',
    '.999 .000',
    '2006.01.02',
    'x15y',
    'pm PM',
  ],
]

const moments = [
  ...[
    0, 1, -1, 1_500_000_000_000_000_000, 1_585_852_421_593_912_000, 951_782_400_000_000_000, -9_223_372_036_854_775_000,
  ],
  ...[
    '1234567890123456789',
    '9223372036854775807',
    '-62135596800000000000',
    '951826154000000001',
    '1e18',
    '1.0',
    '1.5',
  ],
]

const zones = [
  '"UTC"',
  '""',
  '"America/New_York"',
  '"Europe/Berlin"',
  '"Asia/Kolkata"',
  '"Nowhere/Else"',
  '"Asia/Tokyo"',
  '"+01:00"',
]

/** With numbers that JavaScript would round. */
export const timeExpressions: readonly string[] = [
  ...moments.flatMap((ns) => ['date', 'clock', 'weekday', 'format'].map((name) => `time.${name}(${ns})`)),
  ...moments.flatMap((ns) =>
    zones.flatMap((zone) => ['date', 'clock', 'weekday'].map((name) => `time.${name}([${ns}, ${zone}])`)),
  ),
  ...['0', '1234567890123456789', '951826154000000001', '1719835200000000000'].flatMap((ns) =>
    layouts.flatMap((layout) =>
      ['"UTC"', '"America/New_York"'].map((zone) => `time.format([${ns}, ${zone}, ${JSON.stringify(layout)}])`),
    ),
  ),
  ...moments.flatMap((ns) =>
    ['0, 0, 0', '1, 1, 1', '-1, -13, 400', '300, 0, 0', '0, 0, 1000000'].map((step) => `time.add_date(${ns}, ${step})`),
  ),
  ...[
    '1583650800000000000',
    '1583654400000000000',
    '1604206800000000000',
    '1604210400000000000',
    '1706659200000000000',
  ].flatMap((ns) =>
    ['0, 0, 1', '0, 0, -1', '0, 1, 0', '1, 0, 0', '0, -1, 0'].map(
      (step) => `time.add_date(object.get({}, "any type", [${ns}, "America/New_York"]), ${step})`,
    ),
  ),
  ...moments.flatMap((a) =>
    ['0', '1500000000123456789', '[1583654400000000000, "America/New_York"]'].map((b) => `time.diff(${a}, ${b})`),
  ),
  ...['1706659200000000000', '1709164800000000000', '1583650800000000000'].flatMap((a) =>
    ['1709251200000000000', '1604210400000000000', '1711929600000000000'].flatMap((b) => [
      `time.diff(${a}, ${b})`,
      `time.diff([${a}, "Europe/Berlin"], [${b}, "Asia/Tokyo"])`,
    ]),
  ),
]

const values = [
  ...[
    '2006-01-02T15:04:05Z',
    '2020-02-29T23:59:59.123456789+05:30',
    '2021-02-29T00:00:00Z',
    '2020-12-31T24:00:00Z',
    '2020-1-2T3:04:05Z',
  ],
  ...[
    '2020-01-02T03:04:05',
    '2020-01-02T03:04:05,5Z',
    '2020-01-02T03:04:05.Z',
    '2020-01-02 03:04:05Z',
    '2020-01-02T03:04:60Z',
    '',
  ],
  ...[
    '2020-01-02T03:04:05+24:00',
    '2020-01-02T03:04:05+25:00',
    '2020-01-02T03:04:05-00:60',
    '2020-01-02T03:04:05z',
    '2020-01-02t03:04:05Z',
  ],
  ...[
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '1677-09-21T00:12:43.145224193Z',
    '2262-04-11T23:47:16.854775807Z',
    '2262-04-11T23:47:16.854775808Z',
  ],
  ...[
    'Mon Jan  2 15:04:05 2006',
    'Mon Jan 2 15:04:05 2006',
    'Tue, 10 Nov 2009 23:00:00 UTC',
    'Tue, 10 Nov 2009 23:00:00 GMT+3',
    '10 Nov 09 23:00 -0700',
  ],
  ...[
    'Tuesday, 10-Nov-09 23:00:00 CET',
    'Tue, 10 Nov 2009 23:00:00 ABCDE',
    'Tue, 10 Nov 2009 23:00:00 +03',
    '3:04PM',
    '13:04PM',
    '0:04am',
    '12:04am',
  ],
  ...[
    '2006-01-02',
    '2006-366',
    '2004-366',
    '2004-060',
    '2006-060',
    '69',
    '68',
    'jan 5',
    'JANUARY 5',
    'March 31',
    '1 2',
    '2020-01-02T03:04:05.1234567891Z',
    5,
  ],
]

const parseLayouts = [
  ...[
    'RFC3339',
    'RFC3339Nano',
    'ANSIC',
    'RFC1123',
    'RFC822Z',
    'RFC850',
    '3:04PM',
    '3:04pm',
    '2006-01-02',
    '2006-002',
    '06',
    'Jan 2',
    'January 2',
  ],
  ...['2 1', '2006-01-02T15:04:05.000Z07:00', '2006-01-02T15:04:05Z0700', 'x'],
]

const wrong = ['x', null, [], ['x'], [0, 5], [0, 'UTC', 5], {}, [1.5], [0, 'UTC', 'Jan', 4], [0, null]]

export const timeCalls: readonly Call[] = [
  ...['date', 'clock', 'weekday', 'format'].flatMap((name) => wrong.map((value): Call => [`time.${name}`, value])),
  ...[1.5, '1', null].map((step): Call => ['time.add_date', 0, step, 0, 0]),
  ...wrong.map((value): Call => ['time.diff', value, 0]),
  ...values.map((value): Call => ['time.parse_rfc3339_ns', value]),
  ...parseLayouts.flatMap((layout) => values.map((value): Call => ['time.parse_ns', layout, value])),
  ...[
    ...[
      '1h',
      '1.5h',
      '-1h30m',
      '+5ms',
      '0',
      '',
      '-',
      '1',
      '1x',
      '1d',
      '1d2h',
      '1w',
      '1y',
      '1.5d',
      '-2w3d',
      '1h1h',
      '.5s',
      '1.s',
      '.s',
      '5µs',
      '5us',
    ],
    ...[
      '9223372036854775807ns',
      '9223372036854775808ns',
      '-9223372036854775808ns',
      '300y',
      '292y',
      '1e3s',
      '1 h',
      'h',
      '1.2.3h',
      '1d1',
      '0.000001d',
      5,
    ],
    ...[
      '1.123456789012345678901h',
      '2562047h47m16.854775807s',
      '2562047h47m16.854775808s',
      '0.1y',
      '1dd',
      'd',
      '1.d',
      '.5d',
      '1m1m',
      '3mo',
    ],
  ].map((text): Call => ['time.parse_duration_ns', text]),
]
