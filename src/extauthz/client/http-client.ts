import type { HttpProvider } from '../../mesh/provider.ts'
import type { CheckOutcome, CheckRequest } from '../check.ts'
import type { ProviderClient } from './client-status.ts'
import { connectPlain } from './connect.ts'
import { Dispatcher } from './dispatcher.ts'
import type { EndpointSource } from './endpoints.ts'
import { failure, serviceHost } from './failure.ts'
import { HttpHost } from './http-host.ts'
import { createHttpRules } from './http-rules.ts'
import type { ClientOptions } from './options.ts'

const defaultMaxConnections = 1024

/** Asks a provider with an HTTP request of its own for each check. The provider's timeout covers everything. */
export function createHttpClient(
  provider: HttpProvider,
  endpoints: EndpointSource,
  options: ClientOptions = {},
): ProviderClient {
  const common = {
    connect: options.connect ?? connectPlain,
    rules: createHttpRules(provider),
    pathPrefix: provider.pathPrefix,
    timeout: provider.timeout,
    maxConnections: options.maxConnections ?? defaultMaxConnections,
    healthPath: options.health?.path ?? '/',
    healthHost: serviceHost(provider.service),
  }
  return new HttpDispatcher(
    provider.timeout,
    endpoints,
    (target, listener) => new HttpHost(target, common, listener),
    options,
  )
}

class HttpDispatcher extends Dispatcher {
  override check(request: CheckRequest, signal: AbortSignal): Promise<CheckOutcome> {
    if (request.http !== null) return super.check(request, signal)
    return Promise.resolve(failure('unavailable', 'an HTTP provider cannot judge a connection'))
  }
}
