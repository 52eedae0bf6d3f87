/** What a statement is, read without running it. */
export interface Statement {
  /** Without a trailing semicolon. */
  readonly sql: string
  /** First word in capitals. */
  readonly verb: string
  /** The FORMAT clause at its end, if any. */
  readonly format: string | null
  readonly isMany: boolean
  /** It holds an open quote, or quotes or comments that the engine would read and this does not. */
  readonly isUnclear: boolean
  /** A clause, function or engine that would reach files, programs or the network. */
  readonly reachesOut: string | null
}

/** What tells whether the engine lives; it waits behind no other statement. */
export const probeStatement = 'SELECT 1'

const literalsAndComments = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*.*?\*\//gs
/** The engine also knows `#` and `//` comments, $heredocs$ and curly quotes: in each a quote may hide from us. */
const unread = /['"`#$‘’“”]|\/\//
const reaching = [
  // Filters as settings are SQL within a literal.
  String.raw`INTO\s+OUTFILE|FROM\s+INFILE|additional_\w+_filters?`,
  // Held against the engine's own list of table functions by a test.
  String.raw`(?:file|fileCluster|fileLog|filesystem|url|urlCluster|gcs|oss|cosn|remote|remoteSecure|cluster|clusterAllReplicas|mysql|postgresql|materializedPostgreSQL|mongodb|sqlite|redis|odbc|jdbc|ytsaurus|arrowStream|input|eval|python|catboostEvaluate|kafka|rabbitMQ|nats|distributed|source)\s*\(`,
  String.raw`(?:s3|azure|deltaLake|iceberg|paimon|hudi|hdfs|executable|ai(?:Classify|Embed|Extract|Generate|Translate))\w*\s*\(`,
]
const outside = new RegExp(String.raw`\b(${reaching.join('|')})`, 'i')
/** Tables and databases of an engine's own; every other kind reads from elsewhere. */
const foreignEngine =
  /\b(ENGINE\s*=\s*(?!(?:\w*MergeTree|Memory|Null|Log|TinyLog|StripeLog|Set|Join|Buffer|Merge|Atomic)\b)\w+)/i

/** Reads a statement: literals and comments are blanked first, so that nothing within them is taken for SQL. */
export function readStatement(text: string): Statement {
  const sql = text.trim().replace(/;+\s*$/, '')
  const blank = (part: string): string => ' '.repeat(part.length)
  const bare = sql.replace(literalsAndComments, blank)
  // A quoted name is a name all the same: `file`( calls the function.
  const named = sql.replace(literalsAndComments, (part) =>
    /^[`"]/.test(part) ? ` ${part.slice(1, -1).replace(/\W/g, ' ')} ` : blank(part),
  )
  // The engine ends a comment within a comment later than we do, and takes escapes in names for letters.
  const isMisread = (part: string): boolean =>
    part.startsWith('/*') ? part.includes('/*', 2) : /^[`"]/.test(part) && part.includes('\\')
  const verb = (/[A-Za-z]+/.exec(bare)?.[0] ?? '').toUpperCase()
  // Backups go to a folder that the engine's configuration allows.
  const examined = /^(BACKUP|RESTORE)$/.test(verb) ? named.replace(/\b(TO|FROM)\s+File\s*\(/i, blank) : named
  const makes = /^(CREATE|ATTACH|REPLACE)$/.test(verb)
  return {
    sql,
    verb,
    format: /\bFORMAT\s+(\w+)\s*$/i.exec(bare)?.[1] ?? null,
    isMany: bare.includes(';'),
    isUnclear: unread.test(bare) || (sql.match(literalsAndComments) ?? []).some(isMisread),
    reachesOut: (outside.exec(examined) ?? (makes ? foreignEngine.exec(named) : null))?.[1] ?? null,
  }
}

/** A string literal of the engine's SQL. */
export const literal = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`
