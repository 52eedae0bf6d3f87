/** What a number means: shown beside it wherever it is shown. */
export interface MetricDefinition {
  readonly id: string
  /** Raised when the meaning changes; old and new numbers are not to be compared then. */
  readonly version: number
  readonly title: string
  /** The formula in words. */
  readonly description: string
  readonly unit: 'count' | 'ratio' | 'rating' | 'seconds' | 'per session'
  readonly inclusions: string
  readonly exclusions: string
  readonly source: string
  /** series: by period. top: by a dimension, over the whole range. */
  readonly shape: 'series' | 'top'
  /** How days become periods: sums; sum over sum; or the mean per day. */
  readonly combine: 'sum' | 'ratio' | 'mean of days'
  /** A share of independent trials gets a Wilson interval. */
  readonly interval: boolean
  /** Attributed to the day a journey was started, and so final only a day later. */
  readonly ofJourneys: boolean
  /** Why there is no value when there is nothing to divide by. */
  readonly reason?: string
}

const people = 'Visits by people; the time is that of the deployment.'
const noise = 'Known bots; test environments, test origins and localhost; visitors who object.'
const passive = 'Passive events (web_vital, engagement, error)'
const ours = 'Footfall'
const gds = 'GOV.UK Service Manual'

const series = (
  id: string,
  title: string,
  description: string,
  more: Partial<MetricDefinition> = {},
): MetricDefinition => ({
  id,
  version: 1,
  title,
  description,
  unit: 'count',
  inclusions: people,
  exclusions: noise,
  source: ours,
  shape: 'series',
  combine: 'sum',
  interval: false,
  ofJourneys: false,
  ...more,
})
const share = (
  id: string,
  title: string,
  description: string,
  reason: string,
  more: Partial<MetricDefinition> = {},
): MetricDefinition =>
  series(id, title, description, { unit: 'ratio', combine: 'ratio', interval: true, reason, ...more })
const top = (id: string, title: string, description: string, more: Partial<MetricDefinition> = {}): MetricDefinition =>
  series(id, title, description, { shape: 'top', ...more })

/** Every published number; the SQL of each is in `<id>.sql` beside this file. */
export const metricDefinitions: readonly MetricDefinition[] = [
  series('page_views', 'Page views', 'Number of page_view events.'),
  series('events', 'Events', 'Number of events of every name.'),
  series(
    'daily_visitors',
    'Daily visitors',
    'Different visitors of a day, in one deployment. Over more than a day: the mean per day since measuring began, with the number of days as n. Never the number of different people over a longer time: a visitor is not known again on another day.',
    {
      combine: 'mean of days',
      exclusions: `${noise} ${passive}; views whose visitor is not known (see visitor coverage).`,
    },
  ),
  series('sessions', 'Sessions', 'A visitor’s events of a day, cut where 30 minutes pass without one.', {
    exclusions: `${noise} ${passive}; views whose visitor is not known.`,
  }),
  share('bounce_rate', 'Bounce rate', 'Sessions of a single event, whatever its name ÷ sessions.', 'no_sessions', {
    exclusions: `${noise} ${passive}; views whose visitor is not known.`,
  }),
  series(
    'session_duration',
    'Session duration',
    'Seconds from the first to the last event of a session, mean over sessions.',
    {
      unit: 'seconds',
      combine: 'ratio',
      reason: 'no_sessions',
    },
  ),
  series('views_per_session', 'Views per session', 'Page views whose visitor is known ÷ sessions.', {
    unit: 'per session',
    combine: 'ratio',
    reason: 'no_sessions',
  }),
  series(
    'journeys_started',
    'Journeys started',
    'Journeys that visitors began. A second start with the same id on that day or the next is the same journey; resuming is no start.',
    { source: gds, ofJourneys: true },
  ),
  series(
    'journeys_completed',
    'Journeys completed',
    'Of the journeys started in the period, those completed after their start and by the end of the day after it, whatever their outcome except failed, abandoned and error. A completion without a known journey id counts for the same visitor’s latest open start of that journey on that day, each start once. Complete a day later than other numbers.',
    { source: gds, ofJourneys: true },
  ),
  share(
    'journey_completion_rate',
    'Completion rate',
    'Journeys completed ÷ journeys started, both by the period of the start: never above 100 %.',
    'no_starts',
    { source: gds, ofJourneys: true },
  ),
  share(
    'journey_joined_share',
    'Completions joined without an id',
    'Completed journeys whose completion was joined to its start by visitor and time ÷ completed journeys.',
    'no_completions',
    { ofJourneys: true },
  ),
  share(
    'journey_ambiguous_share',
    'Ambiguous completions',
    'Completed journeys that were joined while more than one start was open ÷ completed journeys.',
    'no_completions',
    { ofJourneys: true },
  ),
  series('rating_count', 'Ratings', 'Number of ratings given.'),
  series('rating_mean', 'Mean rating', 'Mean of the ratings from 1 to 5, over all ratings of the period.', {
    unit: 'rating',
    combine: 'ratio',
    reason: 'no_ratings',
  }),
  share('rating_satisfied', 'Satisfied', 'Ratings of 4 and 5 ÷ ratings.', 'no_ratings', { source: gds }),
  top('ratings_distribution', 'Ratings by level', 'How often each level from 1 to 5 was given.'),
  top('journeys', 'Journeys', 'Each journey: completed ÷ started, with the number started as n.', {
    unit: 'ratio',
    combine: 'ratio',
    interval: true,
    reason: 'no_starts',
    source: gds,
    ofJourneys: true,
  }),
  top(
    'top_pages',
    'Pages',
    'Page views by path. Query and fragment are cut off; parts that name one thing or person are replaced.',
  ),
  top('top_entry_pages', 'Entry pages', 'Sessions by the first path among their events.'),
  top(
    'top_referrers',
    'Referrers',
    'Page views by the host that linked to them. Empty: none was told, or the same site.',
  ),
  top('devices', 'Devices', 'Page views by kind of device.'),
  top('browsers', 'Browsers', 'Page views by browser.'),
  top('systems', 'Systems', 'Page views by operating system.'),
  top('countries', 'Countries', 'Page views by country. Empty: not known.'),
  top('event_names', 'Event names', 'Events by name.'),
  top('datasets', 'Open datasets', 'dataset_used events by dataset.'),
  top('live_events', 'Live', 'Events of the last 30 minutes, by the minute they happened (UTC).'),
  share('bot_share', 'Bots', 'Events of known bots ÷ all events.', 'no_events', {
    exclusions: 'Test environments, test origins and localhost.',
  }),
  share('visitor_coverage', 'Visitor coverage', 'Page views whose visitor is known ÷ page views.', 'no_views'),
  share(
    'clock_corrected_share',
    'Clocks corrected',
    'Events whose time was moved because the sender’s clock was wrong ÷ events.',
    'no_events',
  ),
  share(
    'beacon_loss',
    'Beacons lost',
    'Numbers missing from the count that each page load keeps ÷ numbers given. A page that was open at midnight counts anew from its first number of the day.',
    'no_numbered_events',
  ),
  top('refused_events', 'Refused events', 'Events that were refused, by reason (UTC days).', {
    inclusions: 'Every refusal.',
    exclusions: 'None.',
  }),
]
