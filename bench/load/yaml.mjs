/** Documents as one text, as Istio's own examples are written: in blocks, with lists of texts on one line. */
export function yaml(documents) {
  return documents.map((document) => lines(document, '').join('\n')).join('\n---\n')
}

function lines(value, indent) {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const [first, ...rest] = lines(item, `${indent}  `)
      return [`${indent}- ${first.trimStart()}`, ...rest]
    })
  }
  return Object.entries(value).flatMap(([key, item]) => {
    if (typeof item !== 'object') return [`${indent}${key}: ${scalar(item)}`]
    if (Array.isArray(item) && item.every((one) => typeof one === 'string')) {
      return [`${indent}${key}: [${item.map((one) => JSON.stringify(one)).join(', ')}]`]
    }
    // A list stands no deeper than its key, as in most of what is published.
    return [`${indent}${key}:`, ...lines(item, Array.isArray(item) ? indent : `${indent}  `)]
  })
}

/** Plain where YAML reads it as the same text, else quoted. */
function scalar(value) {
  if (typeof value !== 'string') return String(value)
  return /^[a-z/][\w./-]*( [\w./-]+)*$/i.test(value) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value)
    ? value
    : JSON.stringify(value)
}
