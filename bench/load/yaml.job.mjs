// The `yaml` library alone on a text: { file, form } in, its processor time in milliseconds, the heap in bytes once
// garbage is gone, and the number of documents, out. `form`: 'js' is plain values, 'cst' the tree of tokens below them.
import { readFileSync } from 'node:fs'
import { Parser, parseAllDocuments } from 'yaml'
import { answer, task } from '../job.mjs'
import { processorTime } from '../measure.mjs'

const { file, form } = task()
const text = readFileSync(file, 'utf8')
const { ms, result: kept } = processorTime(() => {
  return form === 'js' ? parseAllDocuments(text).map((document) => document.toJS()) : [...new Parser().parse(text)]
})
globalThis.gc()
answer({ ms, heap: process.memoryUsage().heapUsed, documents: kept.filter(isDocument).length })

function isDocument(item) {
  return form === 'js' || item.type === 'document'
}
