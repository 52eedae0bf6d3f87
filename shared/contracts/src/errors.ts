/** One row of the error table: what a caller sees and whether trying again can help. */
export interface ErrorDefinition {
  readonly status: number
  readonly retryable: boolean
  readonly message: string
  readonly hint: string
}

/**
 * The one table of error codes. `status` is the HTTP status where the code reaches a client.
 * Documented in docs/errors.md; a test holds the two equal.
 */
export const errorTable = {
  MALFORMED_JSON: {
    status: 400,
    retryable: false,
    message: 'The body is not valid JSON.',
    hint: 'Send one UTF-8 JSON object: { key, sent_at, events: [ … ] }.',
  },
  INVALID_REQUEST: {
    status: 400,
    retryable: false,
    message: 'The request does not have the documented form.',
    hint: 'See docs/developers.md for every field and its limits.',
  },
  UNAUTHORIZED: {
    status: 401,
    retryable: false,
    message: 'The key or token is missing, unknown or no longer valid.',
    hint: 'Browsers send the public key of their deployment; API calls send "Authorization: Bearer <token>".',
  },
  FORBIDDEN: {
    status: 403,
    retryable: false,
    message: 'This key or token does not allow that.',
    hint: 'Ask the operator for a token with the scope that this call needs.',
  },
  ORIGIN_NOT_ALLOWED: {
    status: 403,
    retryable: false,
    message: 'The page that sent this is not on the list of origins of the deployment.',
    hint: 'Add the origin (scheme, host, port) to the deployment under "origins", or use a server key.',
  },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    message: 'There is nothing at this address.',
    hint: 'Check the path and the id.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retryable: false,
    message: 'This address does not answer that method.',
    hint: 'The header Allow names those that it answers; beacons are sent by POST.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    retryable: true,
    message: 'The request did not arrive in time.',
    hint: 'Send it again.',
  },
  STALE_REVISION: {
    status: 409,
    retryable: true,
    message: 'The registry has changed since you read it.',
    hint: 'Read it again and repeat the change.',
  },
  CONFLICT: {
    status: 409,
    retryable: false,
    message: 'This would contradict what is already there.',
    hint: 'Nothing was changed.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    message: 'The body is larger than this key allows.',
    hint: 'At most 64 KiB with a browser key and 512 KiB with a server key, counted after decompression: split the batch.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retryable: false,
    message: 'The content type or encoding is not one we read.',
    hint: 'Send application/json or text/plain, as it is or with gzip.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    retryable: false,
    message: 'The headers are larger than 16 KiB.',
    hint: 'Send fewer or shorter cookies and headers.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    message: 'Too many events for now.',
    hint: 'Wait as long as Retry-After says and send the same events, with the same ids, again.',
  },
  TOO_MANY_TRIES: {
    status: 429,
    retryable: true,
    message: 'Too many wrong tokens came from this address.',
    hint: 'Wait as long as Retry-After says; a right token is let through at once.',
  },
  INTERNAL: {
    status: 500,
    retryable: true,
    message: 'Something broke on our side.',
    hint: 'Try again; the operator finds the cause in the log.',
  },
  LOG_UNAVAILABLE: {
    status: 503,
    retryable: true,
    message: 'The event log cannot take events now.',
    hint: 'Wait as long as Retry-After says and send the same events, with the same ids, again.',
  },
  LOG_FULL: {
    status: 503,
    retryable: true,
    message: 'The event log is full.',
    hint: 'Free disk space or raise LOG_MAX_BYTES; senders keep their events and try again.',
  },
  JOB_QUEUE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    message: 'The job queue cannot take jobs now.',
    hint: 'Nothing was queued. Free disk space where JOB_QUEUE_URL points, or mend its Redis, and send it again.',
  },
  STORE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    message: 'The store does not answer.',
    hint: 'Accepted events are safe in the log. Try again.',
  },
  NOT_READY: {
    status: 503,
    retryable: true,
    message: 'The service is starting or stopping.',
    hint: 'Try again.',
  },
  LOG_CORRUPT: {
    status: 500,
    retryable: false,
    message: 'The event log holds bytes that its checksums refuse.',
    hint: 'Run `footfall doctor`; restore the log from a backup.',
  },
  LOG_LOCKED: {
    status: 500,
    retryable: false,
    message: 'Another process holds this data directory.',
    hint: 'Stop the process that the message names, or choose another DATA_DIR.',
  },
  FENCED: {
    status: 500,
    retryable: false,
    message: 'Another consumer has taken over this partition.',
    hint: 'The late consumer stops; nothing is to be done.',
  },
  POSITION_DISAGREES: {
    status: 500,
    retryable: false,
    message: 'The store and the log disagree on what was consumed.',
    hint: 'One of them was restored from another moment: run `footfall restore --resume`.',
  },
  POISONED: {
    status: 500,
    retryable: false,
    message: 'Too many rows are refused by the store.',
    hint: 'This is a fault of ours or of the schema: nothing more is consumed until it is mended.',
  },
  STORE_REFUSED: {
    status: 500,
    retryable: false,
    message: 'The store refused the statement.',
    hint: 'The cause is named in the log.',
  },
  STORE_NEWER: {
    status: 500,
    retryable: false,
    message: 'The store was written by a newer version of Footfall.',
    hint: 'Start the newer version, or restore a backup made by this one.',
  },
  STORE_OLDER: {
    status: 503,
    retryable: true,
    message: 'The store was written by an older version of Footfall.',
    hint: 'Run `footfall migrate` once, with the consumers and jobs of the older version stopped.',
  },
  MIGRATION_DISAGREES: {
    status: 500,
    retryable: false,
    message: 'A migration changed how much the store holds.',
    hint: 'Nothing goes into the store any more: go back with the backup that the message names, and report it.',
  },
  JOB_FAILED: {
    status: 500,
    retryable: false,
    message: 'The job failed.',
    hint: 'Its status names the cause.',
  },
} as const satisfies Record<string, ErrorDefinition>

export type ErrorCode = keyof typeof errorTable

/** What an API answers when it refuses: `{ error: { code, message, hint } }`. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; hint: string }
}

/**
 * The one error class. Callers look at `code` and `retryable`, never at message text.
 * @param detail what and where, for people; never holds personal data.
 */
export class PipelineError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown; retryable?: boolean }) {
    const definition = errorTable[code]
    super(detail ? `${definition.message} ${detail}` : definition.message, { cause: options?.cause })
    this.name = 'PipelineError'
    this.code = code
    this.retryable = options?.retryable ?? definition.retryable
  }

  get status(): number {
    return errorTable[this.code].status
  }

  /** The answer for a client. */
  toBody(): ErrorBody {
    return { error: { code: this.code, message: this.message, hint: errorTable[this.code].hint } }
  }
}

/** True for our own error with that code. */
export function isPipelineError(error: unknown, code?: ErrorCode): error is PipelineError {
  return error instanceof PipelineError && (code === undefined || error.code === code)
}
