import * as z from 'zod'
import { shiftDay } from '@footfall/enrichment/local-time'

export type Interval = 'day' | 'week' | 'month'

/** Local days, both ends included, with the same number of days before them. */
export interface Period {
  readonly from: string
  readonly to: string
  readonly days: number
  /** Which of the offered lengths it is; null: chosen by hand. */
  readonly preset: Preset | null
  /** What one point of a trend covers, so that a chart has at most about a hundred. */
  readonly interval: Interval
  readonly before: { readonly from: string; readonly to: string }
}

export const presets = { '7': 7, '30': 30, '90': 90, '365': 365 } as const
export type Preset = keyof typeof presets
const isPreset = (text: string | undefined): text is Preset => text !== undefined && text in presets

/** The longest period that may be asked for at once: three years. */
export const mostDays = 1_096

const daySchema = z.iso.date()

/** Days from one day to another, both included. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000) + 1

function makePeriod(from: string, to: string, preset: Preset | null): Period {
  const days = daysBetween(from, to)
  return {
    from,
    to,
    days,
    preset,
    interval: days <= 100 ? 'day' : days <= 500 ? 'week' : 'month',
    before: { from: shiftDay(from, -days), to: shiftDay(from, -1) },
  }
}

export interface PeriodQuery {
  readonly period?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

export type PeriodMistake = 'not_a_day' | 'ends_before' | 'too_long' | 'in_future'

/**
 * The period a page shows: the days named, else the last `period` days up to today, else 30. A mistake is told and the
 * default shown, so that a mistyped day still ends in a page.
 */
export function readPeriod(query: PeriodQuery, today: string): { period: Period; mistake: PeriodMistake | null } {
  const preset = isPreset(query.period) ? query.period : '30'
  const usual = makePeriod(shiftDay(today, 1 - presets[preset]), today, preset)
  // The form always sends its two fields: they count where they are filled in and differ from nothing.
  if (!query.from && !query.to) return { period: usual, mistake: null }
  const from = query.from || (query.to ? shiftDay(query.to.slice(0, 10), -29) : usual.from)
  const to = query.to || today
  const refuse = (mistake: PeriodMistake) => ({ period: usual, mistake })
  if (!daySchema.safeParse(from).success || !daySchema.safeParse(to).success) return refuse('not_a_day')
  if (from > today) return refuse('in_future')
  if (from > to) return refuse('ends_before')
  if (daysBetween(from, to) > mostDays) return refuse('too_long')
  return { period: makePeriod(from, to > today ? today : to, null), mistake: null }
}
