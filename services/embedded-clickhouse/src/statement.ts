/** What a statement is, read without running it. */
export interface Statement {
  /** Without a trailing semicolon. */
  readonly sql: string
  /** First word in capitals. */
  readonly verb: string
  /** The FORMAT clause at its end, if any. */
  readonly format: string | null
  readonly isMany: boolean
  /** A clause or table function that would reach files or the network. */
  readonly reachesOut: string | null
}

const literalsAndComments = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*[\s\S]*?\*\//g
const outside =
  /\b(INTO\s+OUTFILE|FROM\s+INFILE|(?:file|fileCluster|url|urlCluster|s3|s3Cluster|gcs|hdfs|remote|remoteSecure|cluster|mysql|postgresql|mongodb|sqlite|redis|odbc|jdbc|executable|azureBlobStorage|deltaLake|iceberg|input)\s*\()/i

/** Reads a statement: literals and comments are blanked first, so that nothing within them is taken for SQL. */
export function readStatement(text: string): Statement {
  const sql = text.trim().replace(/;+\s*$/, '')
  const bare = sql.replace(literalsAndComments, (match) => ' '.repeat(match.length))
  const verb = (/[A-Za-z]+/.exec(bare)?.[0] ?? '').toUpperCase()
  const mayReachOut = verb === 'BACKUP' || verb === 'RESTORE'
  return {
    sql,
    verb,
    format: /\bFORMAT\s+(\w+)\s*$/i.exec(bare)?.[1] ?? null,
    isMany: bare.includes(';'),
    reachesOut: mayReachOut ? null : (outside.exec(bare)?.[1] ?? null),
  }
}

/** A string literal of the engine's SQL. */
export const literal = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`
