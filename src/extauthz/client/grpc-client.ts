import type { Buffer } from 'node:buffer'
import type { GrpcProvider } from '../../mesh/provider.ts'
import { frameCheckRequest } from '../check-request.ts'
import type { ProviderClient } from './client-status.ts'
import { connectPlain } from './connect.ts'
import { Dispatcher } from './dispatcher.ts'
import type { EndpointSource } from './endpoints.ts'
import { serviceHost } from './failure.ts'
import { GrpcHost } from './grpc-host.ts'
import { openHttp2 } from './http2-connection.ts'
import type { ClientOptions } from './options.ts'
import type { PendingCheck } from './pending-check.ts'

const defaultMaxConnections = 4

/**
 * Asks a provider over `envoy.service.auth.v3.Authorization/Check`, with HTTP/2 connections that are kept open to every
 * endpoint. The provider's timeout covers everything, connecting and name resolution included.
 */
export function createGrpcClient(
  provider: GrpcProvider,
  endpoints: EndpointSource,
  options: ClientOptions = {},
): ProviderClient {
  const packAsBytes = provider.includeRequestBody?.packAsBytes ?? false
  const common = {
    connect: options.connect ?? connectPlain,
    openConnection: options.openConnection ?? openHttp2,
    authority: serviceHost(provider.service),
    maxConnections: options.maxConnections ?? defaultMaxConnections,
    healthService: options.health?.service ?? '',
    encode: (check: PendingCheck): Buffer => {
      check.message ??= frameCheckRequest(check.request, { packAsBytes })
      return check.message
    },
  }
  return new Dispatcher(
    provider.timeout,
    endpoints,
    (target, listener) => new GrpcHost(target, common, listener),
    options,
  )
}
