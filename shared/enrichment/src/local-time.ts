/** A deployment's wall clock at an instant. */
export interface LocalTime {
  /** YYYY-MM-DD */
  readonly day: string
  /** 0 to 23 */
  readonly hour: number
}

const quarterHourMs = 15 * 60 * 1000
/** Zone offsets change at quarter hours at the finest; a year of one zone is 35,000 entries, so the oldest half goes. */
const cacheLimit = 50_000

/** Offset in milliseconds that `format` shows at an instant. */
function readOffset(format: Intl.DateTimeFormat, at: number): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(at)) if (type !== 'literal') parts[type] = Number(value)
  const local = Date.UTC(parts.year!, parts.month! - 1, parts.day, parts.hour! % 24, parts.minute, parts.second)
  return local - Math.floor(at / 1000) * 1000
}

/** Tells the local day and hour of instants in IANA time zones; remembers the offsets it met. */
export function createLocalClock(): (timeZone: string, at: number) => LocalTime {
  const formats = new Map<string, Intl.DateTimeFormat>()
  const offsets = new Map<string, Map<number, number>>()
  const days = new Map<number, string>()

  const offsetAt = (timeZone: string, at: number): number => {
    let known = offsets.get(timeZone)
    if (!known) offsets.set(timeZone, (known = new Map<number, number>()))
    const quarter = Math.floor(at / quarterHourMs)
    let offset = known.get(quarter)
    if (offset === undefined) {
      let format = formats.get(timeZone)
      if (!format) {
        format = new Intl.DateTimeFormat('en-US', {
          timeZone,
          hourCycle: 'h23',
          year: 'numeric',
          month: 'numeric',
          day: 'numeric',
          hour: 'numeric',
          minute: 'numeric',
          second: 'numeric',
        })
        formats.set(timeZone, format)
      }
      offset = readOffset(format, quarter * quarterHourMs)
      if (known.size >= cacheLimit) known.clear()
      known.set(quarter, offset)
    }
    return offset
  }

  return (timeZone, at) => {
    const local = at + offsetAt(timeZone, at)
    const dayNumber = Math.floor(local / 86_400_000)
    let day = days.get(dayNumber)
    if (day === undefined) {
      day = new Date(dayNumber * 86_400_000).toISOString().slice(0, 10)
      if (days.size >= cacheLimit) days.clear()
      days.set(dayNumber, day)
    }
    return { day, hour: Math.floor((local - dayNumber * 86_400_000) / 3_600_000) }
  }
}

/** The instant at which the next local day begins: midnight, or what comes instead where clocks skip it. */
export function nextMidnight(
  localTime: (timeZone: string, at: number) => LocalTime,
  timeZone: string,
  at: number,
): number {
  const { day } = localTime(timeZone, at)
  let quarter = Math.floor(at / quarterHourMs) * quarterHourMs
  do quarter += quarterHourMs
  while (localTime(timeZone, quarter).day <= day)
  return quarter
}

/** The day before or after: `shiftDay('2026-03-01', -1)` is `2026-02-28`. */
export function shiftDay(day: string, by: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + by * 86_400_000).toISOString().slice(0, 10)
}
