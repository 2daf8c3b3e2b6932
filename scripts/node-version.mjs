// Imported before anything else, so that an old Node gets a sentence instead of a syntax error.
// Written without syntax or imports that Node 12 lacks.
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `sallyport needs Node 20.19 or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'Install a current one from https://nodejs.org or with your version manager, then run the command again.\n',
  )
  process.exit(1)
}
