import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import grpc from '@grpc/grpc-js'
import type { ServerReflectionResponse } from '../../proto/gen/grpc/reflection/v1/reflection_pb.js'
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../proto/gen/grpc/reflection/v1/reflection_pb.js'
import { createAuthorizer, deny, type GrpcListenerOptions } from '../index.ts'
import { silent } from './grpc-peers.test.fixture.ts'

const running: (() => unknown)[] = []
after(() => Promise.all(running.map((end) => end())))

async function start(options: Partial<GrpcListenerOptions> = {}): Promise<grpc.Client> {
  const authorizer = createAuthorizer({ check: () => deny(), logger: silent })
  const { grpc: address } = await authorizer.listen({ grpc: { listen: '127.0.0.1:0', ...options } })
  assert(address)
  const client = new grpc.Client(`127.0.0.1:${address.port}`, grpc.credentials.createInsecure())
  running.push(
    () => client.close(),
    () => authorizer.close({ grace: 0 }),
  )
  return client
}

type Request = MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest']

/** Asks one thing after the other on one call. */
async function ask(
  client: grpc.Client,
  requests: readonly Request[],
  version = 'v1',
): Promise<{ readonly answers: ServerReflectionResponse['messageResponse'][]; readonly status: number }> {
  const same = (bytes: Buffer) => bytes
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
  const call = client.makeBidiStreamRequest(path, same, same)
  const answers: ServerReflectionResponse['messageResponse'][] = []
  call.on('data', (bytes: Buffer) => answers.push(fromBinary(ServerReflectionResponseSchema, bytes).messageResponse))
  for (const messageRequest of requests) {
    const message = create(ServerReflectionRequestSchema, messageRequest === undefined ? {} : { messageRequest })
    call.write(Buffer.from(toBinary(ServerReflectionRequestSchema, message)))
  }
  call.end()
  const status = await new Promise<number>((resolve) => {
    call.on('error', (error: grpc.ServiceError) => resolve(error.code))
    call.on('end', () => resolve(0))
  })
  return { answers, status }
}

function files(answer: ServerReflectionResponse['messageResponse'] | undefined): string[] {
  assert(answer?.case === 'fileDescriptorResponse', answer?.case)
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
}

for (const version of ['v1', 'v1alpha']) {
  test(`${version} lists services, and gives files with what they import`, async () => {
    const client = await start()
    const { answers, status } = await ask(
      client,
      [
        { case: 'listServices', value: '' },
        { case: 'fileContainingSymbol', value: 'envoy.service.auth.v3.Authorization' },
        { case: 'fileContainingSymbol', value: 'grpc.health.v1.Health.Watch' },
        { case: 'fileByFilename', value: 'google/protobuf/struct.proto' },
      ],
      version,
    )
    assert.equal(status, 0)
    const [list, auth, health, struct] = answers
    assert(list?.case === 'listServicesResponse')
    assert.deepEqual(
      list.value.service.map(({ name }) => name),
      [
        'envoy.service.auth.v3.Authorization',
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
      ],
    )
    const all = files(auth)
    assert.equal(all[0], 'envoy/service/auth/v3/external_auth.proto')
    for (const name of ['envoy/service/auth/v3/attribute_context.proto', 'google/protobuf/struct.proto']) {
      assert(all.includes(name), name)
    }
    assert.equal(new Set(all).size, all.length, 'each once')
    assert.deepEqual(files(health), ['grpc/health/v1/health.proto'])
    assert.deepEqual(files(struct), ['google/protobuf/struct.proto'], 'again, because it is what is asked for')
  })
}

test('extensions are found by number, and what is not there is an answer, not the end', async () => {
  const client = await start()
  const { answers, status } = await ask(client, [
    {
      case: 'fileContainingExtension',
      value: { containingType: 'google.protobuf.FieldOptions', extensionNumber: 1071 },
    },
    { case: 'allExtensionNumbersOfType', value: 'google.protobuf.FieldOptions' },
    { case: 'allExtensionNumbersOfType', value: 'envoy.service.auth.v3.CheckRequest' },
    { case: 'fileContainingSymbol', value: 'nothing.of.the.Sort' },
    { case: 'fileByFilename', value: 'nothing.proto' },
    { case: 'allExtensionNumbersOfType', value: 'Nothing' },
    undefined,
    { case: 'fileContainingSymbol', value: 'grpc.health.v1.HealthCheckResponse.SERVING' },
  ])
  assert.equal(status, 0)
  assert(files(answers[0])[0]?.startsWith('validate/'))
  assert(answers[1]?.case === 'allExtensionNumbersResponse' && answers[1].value.extensionNumber.includes(1071))
  assert(answers[2]?.case === 'allExtensionNumbersResponse' && answers[2].value.extensionNumber.length === 0)
  const codes = answers.slice(3, 7).map((one) => (one.case === 'errorResponse' ? one.value.errorCode : one.case))
  assert.deepEqual(codes, [5, 5, 5, 3])
  assert.deepEqual(files(answers[7]), ['grpc/health/v1/health.proto'])
})

test('it can be turned off, and a name without end is refused', async () => {
  const off = await start({ reflection: false })
  assert.equal((await ask(off, [{ case: 'listServices', value: '' }])).status, grpc.status.UNIMPLEMENTED)
  const client = await start()
  const { status } = await ask(client, [{ case: 'fileByFilename', value: 'a'.repeat(5000) }])
  assert.equal(status, grpc.status.INVALID_ARGUMENT)
})

test('a call is answered so much and no more, however little its questions cost', async () => {
  const client = await start()
  const question = { case: 'fileByFilename', value: 'google/protobuf/descriptor.proto' } as const
  const { answers, status } = await ask(client, Array(2000).fill(question))
  assert.equal(status, grpc.status.RESOURCE_EXHAUSTED)
  assert(answers.length > 20, `${answers.length} were answered before`)
})
