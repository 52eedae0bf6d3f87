/**
 * A board: what is asked and how it is shown, once. The console draws it; other views are emitted from the same
 * definition. Every panel names a metric of `shared/store/metrics`, which carries the formula and its source.
 */
export interface Board {
  readonly id: string
  readonly title: string
  /** One or two sentences: whom it serves and what it answers. */
  readonly description: string
  /** What the board is about: all deployments together, or one. */
  readonly scope: 'programme' | 'deployment'
  readonly sections: readonly Section[]
}

export interface Section {
  readonly id: string
  readonly title: string
  readonly panels: readonly Panel[]
}

/** As the metric definitions name it: a `ratio` is 0 to 1 and shown in percent, `seconds` as minutes and seconds. */
export type Unit = 'count' | 'ratio' | 'rating' | 'seconds' | 'per session'

/**
 * How one number for several deployments comes about: `sum` adds (page views); `pool` weighs by n (rates and means);
 * `mean of days` adds up each day's, and means over the days that have one (daily visitors).
 */
export type Across = 'sum' | 'pool' | 'mean of days'

/** Share of the board's width on a wide screen; narrow screens show one panel a row. */
export type Width = 'quarter' | 'third' | 'half' | 'full'

interface PanelBase {
  /** Unique within the board; part of addresses. */
  readonly id: string
  readonly title: string
  /** One sentence under the title. */
  readonly description: string
  readonly width: Width
}

/** Which way is good news, so that a change can be read; absent where neither is. */
export type Better = 'more' | 'less'

/** One number, against the period before. */
export interface StatPanel extends PanelBase {
  readonly shape: 'stat'
  readonly metric: string
  readonly unit: Unit
  readonly across: Across
  readonly better?: Better
  /** Draw its course over the period beside it. */
  readonly course?: boolean
}

/** A line over time, the period before behind it. */
export interface TrendPanel extends PanelBase {
  readonly shape: 'trend'
  readonly metric: string
  readonly unit: Unit
  readonly across: Across
}

/** The most frequent values of a dimension, largest first. */
export interface RankingPanel extends PanelBase {
  readonly shape: 'ranking'
  readonly metric: string
  readonly unit: Unit
  readonly across: Across
  /** What a row is: the heading of the first column. */
  readonly of: string
  readonly limit: number
  /** Bars as parts of all (counts), or of one hundred percent (rates). */
  readonly bars: 'largest' | 'whole'
}

/** Counts over a fixed scale, in its order. */
export interface DistributionPanel extends PanelBase {
  readonly shape: 'distribution'
  readonly metric: string
  readonly unit: Unit
  readonly across: Across
  readonly of: string
  /** The scale's values, lowest first, with what each means. */
  readonly scale: readonly { readonly value: string; readonly label: string }[]
}

/** One row a deployment, one column a metric. */
export interface ComparisonPanel extends PanelBase {
  readonly shape: 'comparison'
  readonly columns: readonly Column[]
}

export interface Column {
  readonly metric: string
  readonly title: string
  readonly unit: Unit
  readonly better?: Better
}

/** Where every accepted event is. */
export interface LedgerPanel extends PanelBase {
  readonly shape: 'ledger'
  readonly metric: 'ledger'
}

export type Panel = StatPanel | TrendPanel | RankingPanel | DistributionPanel | ComparisonPanel | LedgerPanel

/** The metrics that a panel asks for. */
export function metricsOf(panel: Panel): readonly string[] {
  return panel.shape === 'comparison' ? panel.columns.map(({ metric }) => metric) : [panel.metric]
}
