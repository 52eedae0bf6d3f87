import type { Unit } from '@footfall/dashboards/board'

const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })
const oneDecimal = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const twoDecimals = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const percent = new Intl.NumberFormat('en-GB', {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
})
const shortDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const longDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const monthYear = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone: 'UTC' })
const weekday = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' })

/** A number as people read it: `1,234`, `63.4%`, `2 min 5 s`, `4.21`. A count below 100 that is a mean keeps a decimal. */
export function formatValue(value: number, unit: Unit): string {
  switch (unit) {
    case 'count':
      return Number.isInteger(value) || value >= 100 ? whole.format(value) : oneDecimal.format(value)
    case 'ratio':
      return percent.format(value)
    case 'rating':
      return twoDecimals.format(value)
    case 'per session':
      return oneDecimal.format(value)
    case 'seconds': {
      const seconds = Math.round(value)
      if (seconds < 60) return `${seconds} s`
      return seconds % 60 === 0
        ? `${whole.format(seconds / 60)} min`
        : `${whole.format(Math.floor(seconds / 60))} min ${seconds % 60} s`
    }
  }
}

export const formatCount = (value: number): string => whole.format(value)
export const formatPercent = (value: number): string => percent.format(value)

const dayAt = (day: string): Date => new Date(`${day.slice(0, 10)}T00:00:00Z`)

/** `24 Nov 2026` */
export const formatDay = (day: string): string => longDay.format(dayAt(day))

/** `24 Oct – 22 Nov 2026`; the first year only where it differs. */
export function formatRange(from: string, to: string): string {
  if (from === to) return formatDay(to)
  const first = from.slice(0, 4) === to.slice(0, 4) ? shortDay.format(dayAt(from)) : formatDay(from)
  return `${first} – ${formatDay(to)}`
}

/** A period of an answer, as an axis (short) or a table (long) names it. */
export function formatPeriod(period: string, form: 'short' | 'long'): string {
  const week = /^(\d{4})-W(\d{2})$/.exec(period)
  if (week) return form === 'short' ? `W${Number(week[2])}` : `Week ${Number(week[2])}, ${week[1]}`
  if (period.length === 7) return monthYear.format(dayAt(`${period}-01`))
  return form === 'short' ? shortDay.format(dayAt(period)) : `${weekday.format(dayAt(period))} ${period.slice(0, 4)}`
}

/** `24 Nov 2026, 11:32` on the wall of a time zone. */
export const formatTime = (at: number, timeZone: string): string =>
  new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone,
  }).format(at)

/** `4 minutes ago`; coarse on purpose. */
export function formatAgo(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000)
  const count = (amount: number, word: string): string => `${amount} ${word}${amount === 1 ? '' : 's'} ago`
  if (minutes < 1) return 'just now'
  if (minutes < 60) return count(minutes, 'minute')
  if (minutes < 48 * 60) return count(Math.floor(minutes / 60), 'hour')
  return count(Math.floor(minutes / 1440), 'day')
}
