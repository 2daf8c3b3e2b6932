import type { DescFile, MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { ServerReflectionRequest } from '../../proto/gen/grpc/reflection/v1/reflection_pb.js'
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../proto/gen/grpc/reflection/v1/reflection_pb.js'
import { grpcStatus } from '../grpc-framing.ts'
import type { GrpcStreamingMethod } from './grpc-transport.ts'
import { ReflectionFiles } from './reflection-files.ts'

/** Both versions have the same messages, and so one implementation. */
export const reflectionPaths: readonly string[] = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
)

/** Callers that ask at a time; more are refused. */
const mostStreams = 100

/**
 * Octets that a call is answered: more than all files there are, many times over. A question of forty octets may be
 * answered with ten thousand.
 */
const mostAnswered = 4 * 1024 * 1024

/** Longest text that a question repeats in its answer. */
const mostText = 1024

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>

/** grpc.reflection: what the server serves, for tools that have no `.proto` files. */
export function createReflection(files: readonly DescFile[]): GrpcStreamingMethod {
  let streams = 0
  // Of no use to a server that is never asked.
  let known: ReflectionFiles | null = null
  return (stream) => {
    streams++
    if (streams > mostStreams) stream.end(grpcStatus.resourceExhausted, 'too many reflection calls at a time')
    const sent = new Set<DescFile>()
    let left = mostAnswered
    return {
      message: (bytes) => {
        known ??= new ReflectionFiles(files)
        const answer = answerTo(bytes, known, sent)
        if (answer.kind === 'refused') {
          stream.end(grpcStatus.invalidArgument, answer.text)
          return
        }
        left -= answer.message.length
        if (left < 0) stream.end(grpcStatus.resourceExhausted, 'too much is asked in one call')
        else stream.send(answer.message)
      },
      halfClosed: () => stream.end(grpcStatus.ok),
      closed: () => {
        streams--
      },
    }
  }
}

type AnswerTo =
  | { readonly kind: 'answered'; readonly message: Uint8Array }
  | { readonly kind: 'refused'; readonly text: string }

function answerTo(bytes: Uint8Array, files: ReflectionFiles, sent: Set<DescFile>): AnswerTo {
  let request: ServerReflectionRequest
  try {
    request = fromBinary(ServerReflectionRequestSchema, bytes)
  } catch {
    return { kind: 'refused', text: 'the message is no ServerReflectionRequest' }
  }
  if (bytes.length > mostText) return { kind: 'refused', text: 'the name is too long' }
  const response = create(ServerReflectionResponseSchema, {
    validHost: request.host,
    originalRequest: request,
    messageResponse: find(request, files, sent),
  })
  return { kind: 'answered', message: toBinary(ServerReflectionResponseSchema, response) }
}

function find({ messageRequest }: ServerReflectionRequest, files: ReflectionFiles, sent: Set<DescFile>): Answer {
  switch (messageRequest.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: files.services.map((name) => ({ name })) } }
    case 'fileByFilename':
      return fileAnswer(files.named(messageRequest.value), files, sent)
    case 'fileContainingSymbol':
      return fileAnswer(files.declaring(messageRequest.value), files, sent)
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = messageRequest.value
      return fileAnswer(files.extending(containingType, extensionNumber), files, sent)
    }
    case 'allExtensionNumbersOfType': {
      const numbers = files.extensionsOf(messageRequest.value)
      if (numbers === undefined) return notFound
      const value = { baseTypeName: messageRequest.value, extensionNumber: [...numbers] }
      return { case: 'allExtensionNumbersResponse', value }
    }
    case undefined:
      return error(grpcStatus.invalidArgument, 'nothing is asked')
    default:
      return messageRequest satisfies never
  }
}

function fileAnswer(file: DescFile | undefined, files: ReflectionFiles, sent: Set<DescFile>): Answer {
  if (file === undefined) return notFound
  // Who asks again, having lost the answer, gets the file itself once more.
  sent.delete(file)
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: files.take(file, sent) } }
}

function error(errorCode: number, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } }
}

const notFound = error(grpcStatus.notFound, 'there is no such thing here')
