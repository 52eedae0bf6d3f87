import { PipelineError, isPipelineError, type ErrorCode } from './errors.ts'

const codesByStatus: Readonly<Record<number, ErrorCode>> = {
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  408: 'REQUEST_TIMEOUT',
  413: 'BODY_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  431: 'HEADERS_TOO_LARGE',
  503: 'NOT_READY',
}

/** Any error of a web framework as one of ours, so that a client sees a documented code and nothing of our inside. */
export function toPipelineError(error: Error & { statusCode?: number; code?: string }): PipelineError {
  if (isPipelineError(error)) return error
  const status = error.statusCode ?? 500
  if (status < 500 && (error instanceof SyntaxError || error.code === 'FST_ERR_CTP_INVALID_JSON_BODY'))
    return new PipelineError('MALFORMED_JSON')
  const code = codesByStatus[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_REQUEST')
  return new PipelineError(code, '', { cause: error })
}
