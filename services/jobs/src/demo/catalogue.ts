import { shiftDay } from '@footfall/enrichment/local-time'
import type { Catalogue } from '@footfall/contracts/registry'

/** Hours of the day and days of the week at which an app is used. */
export type Rhythm = 'office' | 'evening' | 'outdoors'

/** How a deployment of the demo is used; drives the generator. */
export interface DemoTraffic {
  /** Visits on an ordinary working day, once it has grown. */
  readonly visits: number
  /** Share of started journeys that are completed. */
  readonly completion: number
  /** Mean tendency of ratings, 1 to 5. */
  readonly liking: number
  /** Share of completed journeys whose id was handed on to the end. */
  readonly withId: number
  readonly journey: string
  /** From the first to the one on which the journey ends. */
  readonly pages: readonly string[]
  readonly dataset: string | null
  readonly rhythm: Rhythm
  /** Month of the most visits, 0 to 11, and how far the year swings about its mean. */
  readonly peakMonth: number
  readonly swing: number
  /** Share of visits by telephone or tablet. */
  readonly mobile: number
  readonly country: string
}

const cities = [
  { id: 'tampere', name: 'Tampere', country: 'FI', zone: 'Europe/Helsinki' },
  { id: 'ghent', name: 'Ghent', country: 'BE', zone: 'Europe/Brussels' },
  { id: 'porto', name: 'Porto', country: 'PT', zone: 'Europe/Lisbon' },
  { id: 'leipzig', name: 'Leipzig', country: 'DE', zone: 'Europe/Berlin' },
  { id: 'bologna', name: 'Bologna', country: 'IT', zone: 'Europe/Rome' },
  { id: 'galway', name: 'Galway', country: 'IE', zone: 'Europe/Dublin' },
] as const

const apps = [
  {
    id: 'street-report',
    name: 'Report a street fault',
    journey: 'report',
    pages: ['/', '/map', '/report', '/report/where', '/report/what', '/report/sent'],
    dataset: 'street-register',
    rhythm: 'outdoors',
    peakMonth: 1,
    swing: 0.3,
    mobile: 0.72,
    challenges: ['potholes', 'street lighting'],
    need: 'Residents see a fault and do not know whom to tell.',
    target: 'Seven of ten started reports are sent.',
  },
  {
    id: 'school-finder',
    name: 'Find a school place',
    journey: 'find_place',
    pages: ['/', '/search', '/school/:id', '/compare', '/apply'],
    dataset: 'school-register',
    rhythm: 'evening',
    peakMonth: 2,
    swing: 0.6,
    mobile: 0.48,
    challenges: ['school places'],
    need: 'Parents compare schools before the date of application.',
    target: 'Half of the families that begin find a place and apply.',
  },
  {
    id: 'consultation',
    name: 'Answer a consultation',
    journey: 'answer',
    pages: ['/', '/open', '/topic/:id', '/answer', '/thanks'],
    dataset: null,
    rhythm: 'evening',
    peakMonth: 9,
    swing: 0.35,
    mobile: 0.5,
    challenges: ['taking part'],
    need: 'Plans are read by many and answered by few.',
    target: 'Twice as many answers a consultation as on paper.',
  },
  {
    id: 'waste-calendar',
    name: 'Waste calendar',
    journey: 'subscribe',
    pages: ['/', '/address', '/calendar', '/subscribe'],
    dataset: 'collection-days',
    rhythm: 'evening',
    peakMonth: 0,
    swing: 0.25,
    mobile: 0.66,
    challenges: ['waste'],
    need: 'Bins stand outside on the wrong day.',
    target: 'Rating of 4 or more.',
  },
  {
    id: 'allotments',
    name: 'Book an allotment',
    journey: 'book',
    pages: ['/', '/gardens', '/garden/:id', '/book'],
    dataset: 'garden-plots',
    rhythm: 'evening',
    peakMonth: 3,
    swing: 0.7,
    mobile: 0.45,
    challenges: ['green space'],
    need: 'Plots lie empty while people wait for one.',
    target: 'Every free plot is let within a month.',
  },
  {
    id: 'parking-permit',
    name: 'Parking permit',
    journey: 'apply',
    pages: ['/', '/zones', '/apply', '/documents', '/pay'],
    dataset: null,
    rhythm: 'office',
    peakMonth: 8,
    swing: 0.2,
    mobile: 0.4,
    challenges: ['parking'],
    need: 'A permit takes a morning at the counter.',
    target: 'Eight of ten permits are asked for online.',
  },
  {
    id: 'air-quality',
    name: 'Air quality near me',
    journey: 'alert',
    pages: ['/', '/station/:id', '/history', '/alerts'],
    dataset: 'air-measurements',
    rhythm: 'outdoors',
    peakMonth: 0,
    swing: 0.45,
    mobile: 0.7,
    challenges: ['clean air'],
    need: 'People with asthma want to know before they go out.',
    target: 'One visitor in three sets an alert.',
  },
  {
    id: 'budget-vote',
    name: 'Participatory budget',
    journey: 'vote',
    pages: ['/', '/ideas', '/idea/:id', '/vote', '/results'],
    dataset: 'budget-ideas',
    rhythm: 'evening',
    peakMonth: 4,
    swing: 0.75,
    mobile: 0.58,
    challenges: ['taking part', 'budget'],
    need: 'Residents decide on a part of the investments.',
    target: 'One resident in twenty votes.',
  },
] as const

interface Plan {
  readonly app: (typeof apps)[number]['id']
  readonly city: (typeof cities)[number]['id']
  /** Days before the month of the end. */
  readonly launched: number
  readonly retired?: number
  readonly visits: number
  readonly completion: number
  readonly liking: number
  readonly withId?: number
  readonly from?: string
  readonly relation?: 'redeployed-unchanged' | 'configured' | 'variant' | 'inspired-by'
}

const plan: readonly Plan[] = [
  { app: 'street-report', city: 'tampere', launched: 900, visits: 165, completion: 0.74, liking: 4.1 },
  {
    app: 'street-report',
    city: 'ghent',
    launched: 280,
    visits: 140,
    completion: 0.71,
    liking: 4,
    from: 'tampere',
    relation: 'configured',
  },
  // Its own form loses the journey's id on the way, and people with it.
  {
    app: 'street-report',
    city: 'porto',
    launched: 170,
    visits: 120,
    completion: 0.52,
    liking: 3.3,
    withId: 0.35,
    from: 'tampere',
    relation: 'variant',
  },
  {
    app: 'street-report',
    city: 'galway',
    launched: 60,
    visits: 60,
    completion: 0.7,
    liking: 4.2,
    from: 'ghent',
    relation: 'redeployed-unchanged',
  },
  { app: 'school-finder', city: 'leipzig', launched: 700, visits: 115, completion: 0.62, liking: 3.9 },
  {
    app: 'school-finder',
    city: 'bologna',
    launched: 210,
    visits: 90,
    completion: 0.5,
    liking: 3.6,
    from: 'leipzig',
    relation: 'configured',
  },
  { app: 'consultation', city: 'ghent', launched: 620, visits: 75, completion: 0.44, liking: 3.5 },
  {
    app: 'consultation',
    city: 'galway',
    launched: 250,
    retired: 45,
    visits: 30,
    completion: 0.31,
    liking: 2.8,
    from: 'ghent',
    relation: 'redeployed-unchanged',
  },
  { app: 'waste-calendar', city: 'leipzig', launched: 1200, visits: 210, completion: 0.81, liking: 4.4 },
  {
    app: 'waste-calendar',
    city: 'tampere',
    launched: 320,
    visits: 155,
    completion: 0.83,
    liking: 4.5,
    from: 'leipzig',
    relation: 'configured',
  },
  { app: 'allotments', city: 'galway', launched: 400, visits: 28, completion: 0.66, liking: 4 },
  { app: 'parking-permit', city: 'porto', launched: 800, visits: 125, completion: 0.68, liking: 3.1 },
  {
    app: 'parking-permit',
    city: 'bologna',
    launched: 120,
    visits: 85,
    completion: 0.55,
    liking: 2.9,
    withId: 0.6,
    from: 'porto',
    relation: 'variant',
  },
  { app: 'air-quality', city: 'bologna', launched: 500, visits: 105, completion: 0.35, liking: 3.7 },
  {
    app: 'air-quality',
    city: 'leipzig',
    launched: 90,
    visits: 75,
    completion: 0.36,
    liking: 3.9,
    from: 'bologna',
    relation: 'redeployed-unchanged',
  },
  { app: 'budget-vote', city: 'porto', launched: 330, visits: 100, completion: 0.63, liking: 4 },
  {
    app: 'budget-vote',
    city: 'tampere',
    launched: 25,
    visits: 60,
    completion: 0.58,
    liking: 3.8,
    from: 'porto',
    relation: 'inspired-by',
  },
]

const idOf = ({ app, city }: Pick<Plan, 'app' | 'city'>): string => `${app}-${city}`
const partsOf = (entry: Plan) => ({
  app: apps.find(({ id }) => id === entry.app)!,
  city: cities.find(({ id }) => id === entry.city)!,
})

/**
 * The programme of the demo: six cities, eight apps, half of the deployments borrowed from another city. Dates count
 * back from the first of the month of `end`.
 * @param end last day of the history as it was first made, YYYY-MM-DD.
 */
export function demoCatalogue(end: string): Catalogue {
  const month = `${end.slice(0, 7)}-01`
  return {
    organisations: cities.map(({ id, name, country }) => ({ id, name: `City of ${name}`, country, type: 'city' })),
    apps: apps.map(({ id, name }) => ({
      id,
      name,
      repository: `https://code.example.org/civic/${id}`,
      licence: 'EUPL-1.2',
    })),
    deployments: plan.map((entry) => {
      const { app, city } = partsOf(entry)
      const site = `https://${app.id}.${city.id}.example`
      return {
        id: idOf(entry),
        app: app.id,
        organisation: city.id,
        name: `${app.name}, ${city.name}`,
        url: site,
        time_zone: city.zone,
        origins: [site],
        test_origins: [`https://test.${app.id}.${city.id}.example`],
        environment: 'production' as const,
        mode: 'exempt' as const,
        launched_on: shiftDay(month, -entry.launched),
        ...(entry.retired === undefined ? {} : { retired_on: shiftDay(month, -entry.retired) }),
        contact: `digital@${city.id}.example`,
        challenges: [...app.challenges],
        need: app.need,
        target: app.target,
        keep_params: [],
        ...(entry.from === undefined
          ? { relation: 'origin' as const }
          : { borrowed_from: `${app.id}-${entry.from}`, relation: entry.relation! }),
      }
    }),
  }
}

/** How the deployments of the demo are used, by deployment. */
export function demoTraffic(): ReadonlyMap<string, DemoTraffic> {
  return new Map(
    plan.map((entry) => {
      const { app, city } = partsOf(entry)
      const { journey, pages, dataset, rhythm, peakMonth, swing, mobile } = app
      const { visits, completion, liking, withId = 0.85 } = entry
      const used = { journey, pages, dataset, rhythm, peakMonth, swing, mobile }
      return [idOf(entry), { ...used, visits, completion, liking, withId, country: city.country }]
    }),
  )
}
