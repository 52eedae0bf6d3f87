import type { QueryParameters } from './open.ts'

/** Rows of a metric that somebody asks for. */
export interface Question {
  readonly metric: string
  readonly parameters: QueryParameters
}

type Row = Record<string, string>

/** One statement for several questions. */
export interface Statement<Asked extends Question> {
  readonly sql: string
  readonly parameters: QueryParameters
  /** The questions that it answers, each with its own rows among the statement's. */
  readonly answers: readonly { readonly question: Asked; readonly pick: (rows: readonly Row[]) => Row[] }[]
}

/** A number that is a column, or two, of a day's row. */
const ofDays =
  /^SELECT deployment, toString\(local_day\) AS day, (.+?) AS numerator(?:, (.+) AS denominator)?\n(FROM (?:.|\n)+)$/
/** How often each value of a dimension was used. */
const ofValues =
  /^SELECT deployment, value AS dimension, sum\(uses\) AS numerator\n(FROM dimensions\(.+), dimensions = \['(\w+)'\]\)\n/

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return [...groups.values()]
}

interface DaysQuestion<Asked> {
  readonly question: Asked
  readonly numerator: string
  readonly denominator: string | undefined
  readonly source: string
  readonly from: string
  readonly to: string
}

const dayAfter = (day: string): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)

/** Cuts questions of the same rows where days lie between them that nobody asks for. */
function cutRanges<Asked>(group: readonly DaysQuestion<Asked>[]): DaysQuestion<Asked>[][] {
  const runs: { members: DaysQuestion<Asked>[]; to: string }[] = []
  for (const member of [...group].sort((a, b) => (a.from < b.from ? -1 : 1))) {
    const run = runs.at(-1)
    if (run && member.from <= dayAfter(run.to)) {
      run.members.push(member)
      if (member.to > run.to) run.to = member.to
    } else runs.push({ members: [member], to: member.to })
  }
  return runs.map(({ members }) => members)
}

function daysStatement<Asked extends Question>(members: readonly DaysQuestion<Asked>[]): Statement<Asked> {
  const columns = new Set<string>()
  for (const { question, numerator, denominator } of members) {
    columns.add(`${numerator} AS ${question.metric}_numerator`)
    if (denominator !== undefined) columns.add(`${denominator} AS ${question.metric}_denominator`)
  }
  const first = members[0]!
  const to = members.reduce((latest, member) => (member.to > latest ? member.to : latest), first.to)
  return {
    sql: `SELECT deployment, toString(local_day) AS day, ${[...columns].join(', ')}\n${first.source}`,
    parameters: { ...first.question.parameters, from: first.from, to },
    answers: members.map(({ question, denominator, from, to }) => ({
      question,
      pick: (rows) =>
        rows
          .filter((row) => row.day! >= from && row.day! <= to)
          .map((row) => ({
            deployment: row.deployment!,
            day: row.day!,
            numerator: row[`${question.metric}_numerator`]!,
            ...(denominator === undefined ? {} : { denominator: row[`${question.metric}_denominator`]! }),
          })),
    })),
  }
}

interface ValuesQuestion<Asked> {
  readonly question: Asked
  readonly dimension: string
  readonly source: string
}

function valuesStatement<Asked extends Question>(members: readonly ValuesQuestion<Asked>[]): Statement<Asked> {
  const dimensions = [...new Set(members.map(({ dimension }) => `'${dimension}'`))].join(', ')
  return {
    sql: `SELECT deployment, dimension AS kind, value, sum(uses) AS numerator
${members[0]!.source}, dimensions = [${dimensions}])
GROUP BY deployment, kind, value
ORDER BY numerator DESC, value
LIMIT {limit:UInt32} BY deployment, kind`,
    parameters: members[0]!.question.parameters,
    answers: members.map(({ question, dimension }) => ({
      question,
      pick: (rows) =>
        rows
          .filter(({ kind }) => kind === dimension)
          .map((row) => ({ deployment: row.deployment!, dimension: row.value!, numerator: row.numerator! })),
    })),
  }
}

/**
 * Puts questions that read the same rows into one statement: planning one takes the engine longer than running it, and a
 * board asks for two dozen numbers over the same days and over those before them.
 * @param readSql the SQL of a metric. A file of another form is a statement of its own.
 */
export function combine<Asked extends Question>(
  questions: readonly Asked[],
  readSql: (metric: string) => string,
): Statement<Asked>[] {
  const days: DaysQuestion<Asked>[] = []
  const values: ValuesQuestion<Asked>[] = []
  const others: Asked[] = []
  for (const question of questions) {
    const sql = readSql(question.metric)
      .replace(/^--.*\n/gm, '')
      .trim()
    const { from, to } = question.parameters
    const asDays = ofDays.exec(sql)
    const asValues = ofValues.exec(sql)
    if (asDays && typeof from === 'string' && typeof to === 'string')
      days.push({ question, numerator: asDays[1]!, denominator: asDays[2], source: asDays[3]!, from, to })
    else if (asValues) values.push({ question, source: asValues[1]!, dimension: asValues[2]! })
    else others.push(question)
  }
  return [
    ...groupBy(days, ({ source, question }) => JSON.stringify([source, question.parameters.deployments]))
      .flatMap(cutRanges)
      .map(daysStatement),
    ...groupBy(values, ({ source, question }) => JSON.stringify([source, question.parameters])).map(valuesStatement),
    ...groupBy(others, ({ metric, parameters }) => JSON.stringify([metric, parameters])).map((same) => ({
      sql: readSql(same[0]!.metric),
      parameters: same[0]!.parameters,
      answers: same.map((question) => ({ question, pick: (rows: readonly Row[]) => [...rows] })),
    })),
  ]
}
