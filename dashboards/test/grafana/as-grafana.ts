/** What a board's variables and time range are set to. */
export interface Chosen {
  /** One value, or several. */
  readonly deployment: string | readonly string[]
  /** Local days, both inclusive: as somebody picks them on a board in UTC. */
  readonly from: string
  readonly to: string
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** Grafana's formats of a variable that our boards use. Source: the format registry of Grafana's scenes. */
const formats: Readonly<Record<string, (value: string | readonly string[]) => string>> = {
  percentencode: (value) => encode(typeof value === 'string' ? value : `{${value.join(',')}}`),
}

const second = (day: string, time: string): number => Date.parse(`${day}T${time}Z`) / 1000

/**
 * A statement as it reaches ClickHouse: variables first, by Grafana in the browser, then macros, by the plugin's backend.
 * @throws for a variable, format or macro that is not known here.
 */
export function asGrafana(sql: string, chosen: Chosen): string {
  const macros: Readonly<Record<string, string>> = {
    $__fromTime: `toDateTime(${second(chosen.from, '00:00:00')})`,
    $__toTime: `toDateTime(${second(chosen.to, '23:59:59')})`,
  }
  const withVariables = sql.replace(/\$\{(\w+)(?::(\w+))?\}/g, (whole, name: string, format: string | undefined) => {
    const write = formats[format ?? '']
    if (name !== 'deployment' || write === undefined) throw new Error(`${whole} is not known`)
    return write(chosen.deployment)
  })
  return withVariables.replace(/\$\w*/g, (macro) => {
    const written = macros[macro]
    if (written === undefined) throw new Error(`${macro} is not known`)
    return written
  })
}
