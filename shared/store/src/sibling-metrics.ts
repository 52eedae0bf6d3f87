/** A number that is a column, or two, of a day's row: what it reads, and its place in the statement for all its siblings. */
export interface Sibling {
  /** Reads every number of the same view at once. */
  readonly sql: string
  readonly numerator: string
  /** null: a count. */
  readonly denominator: string | null
}

const form =
  /^SELECT deployment, toString\(local_day\) AS day, (.+?) AS numerator(?:, (.+) AS denominator)?\n(FROM (?:.|\n)+)$/

/**
 * Puts numbers that read the same rows into one statement. Planning such a statement takes the engine longer than
 * running it, and a board asks for a dozen of them over the same days.
 * @param files the SQL of each number by its id. What is not `SELECT deployment, day, numerator [, denominator]` over a
 * view stays as it is.
 */
export function findSiblings(files: ReadonlyMap<string, string>): Map<string, Sibling> {
  const families = new Map<string, { id: string; numerator: string; denominator: string | undefined }[]>()
  for (const [id, sql] of files) {
    const found = form.exec(sql.replace(/^--.*\n/gm, '').trim())
    if (!found) continue
    const [, numerator, denominator, source] = found
    const family = families.get(source!) ?? []
    family.push({ id, numerator: numerator!, denominator })
    families.set(source!, family)
  }
  const siblings = new Map<string, Sibling>()
  for (const [source, family] of families) {
    const columns = family.flatMap(({ id, numerator, denominator }) => [
      `${numerator} AS ${id}_numerator`,
      ...(denominator === undefined ? [] : [`${denominator} AS ${id}_denominator`]),
    ])
    const sql = `SELECT deployment, toString(local_day) AS day, ${columns.join(', ')}\n${source}`
    for (const { id, denominator } of family)
      siblings.set(id, {
        sql,
        numerator: `${id}_numerator`,
        denominator: denominator === undefined ? null : `${id}_denominator`,
      })
  }
  return siblings
}
