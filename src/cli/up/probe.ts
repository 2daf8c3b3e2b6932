import { connect } from 'node:net'
import type { Logger } from '../../observe/log.ts'
import type { Runtime } from './runtime.ts'

const PATIENCE = 1000

/** Says at start which providers do not answer: requests that need them will be refused until they do. */
export async function probeProviders(runtime: Runtime, logger: Logger): Promise<void> {
  await Promise.all(
    runtime.providers().map(async (provider) => {
      const endpoints = runtime.endpoints(provider)
      const answers = await Promise.all(endpoints.map(({ address, port }) => answersAt(address, port)))
      if (answers.some((one) => one)) return
      const consequence = provider.failOpen ? 'let through (failOpen)' : `refused with ${provider.statusOnError}`
      logger.warn(`provider ${provider.name} does not answer; requests that ask it are ${consequence} until it does`, {
        endpoints: endpoints.map(({ address, port }) => `${address}:${port}`).join(', ') || 'none',
      })
    }),
  )
}

function answersAt(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const unix = address.startsWith('unix:') ? address.replace(/^unix:(\/\/)?/, '') : null
    const socket = unix === null ? connect({ host: address, port }) : connect({ path: unix })
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(PATIENCE, () => finish(false))
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}
