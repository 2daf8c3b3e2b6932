import './node-version.mjs'

// Imported late: an old Node stops above with a sentence instead of failing on what it lacks.
const { main } = await import('./start/main.mjs')
process.exitCode = await main(process.argv.slice(2))
