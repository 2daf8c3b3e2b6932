import { file_envoy_service_auth_v3_external_auth } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { file_grpc_health_v1_health } from '../../proto/gen/grpc/health/v1/health_pb.js'
import { file_grpc_reflection_v1_reflection } from '../../proto/gen/grpc/reflection/v1/reflection_pb.js'
import { file_grpc_reflection_v1alpha_reflection } from '../../proto/gen/grpc/reflection/v1alpha/reflection_pb.js'
import type { GrpcHandler, GrpcStreamingMethod } from './grpc-transport.ts'
import { type HealthService, healthCheckPath, healthWatchPath } from './health.ts'
import { createReflection, reflectionPaths } from './reflection.ts'

/** Services that the health protocol knows by name. */
export const serviceNames: readonly string[] = ['envoy.service.auth.v3.Authorization', 'grpc.health.v1.Health']

/** The check and what every gRPC server has beside its own service: health, and reflection unless it is turned off. */
export function createGrpcRouter(check: GrpcHandler, health: HealthService, reflection: boolean): GrpcHandler {
  const streaming = new Map<string, GrpcStreamingMethod>([[healthWatchPath, health.watch]])
  if (reflection) {
    const method = createReflection([
      file_envoy_service_auth_v3_external_auth,
      file_grpc_health_v1_health,
      file_grpc_reflection_v1_reflection,
      file_grpc_reflection_v1alpha_reflection,
    ])
    for (const path of reflectionPaths) streaming.set(path, method)
  }
  return {
    has: (path) => check.has(path) || path === healthCheckPath,
    handle: (call) => (call.path === healthCheckPath ? health.check(call.message) : check.handle(call)),
    streaming: (path) => streaming.get(path) ?? null,
  }
}
