import type { Extension } from './matchers.ts'

export type AccessLog = Extension<{
  readonly '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog'
  readonly path: string
  readonly log_format: LogFormat
}>

export type LogFormat =
  | { readonly text_format_source: { readonly inline_string: string } }
  | { readonly json_format: JsonFormat }

interface JsonFormat {
  readonly [key: string]: string | JsonFormat
}

/** Istio's default line. */
export const DEFAULT_LOG_FORMAT: LogFormat = {
  text_format_source: {
    inline_string:
      '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
      '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
      '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
      '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
      '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
      '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n',
  },
}

/** `path` is a file that Envoy appends to, or `/dev/stdout`. */
export function fileAccessLog(path: string, format: LogFormat): AccessLog {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path,
      log_format: format,
    },
  }
}
