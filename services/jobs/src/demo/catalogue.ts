import type { Catalogue } from '@footfall/contracts/registry'

/** How a deployment of the demo is used; drives the generator. */
export interface DemoTraffic {
  /** Visits on an ordinary working day, a year after its launch. */
  readonly visits: number
  /** Share of started journeys that are completed. */
  readonly completion: number
  /** Mean tendency of ratings, 1 to 5. */
  readonly liking: number
  readonly journey: string
  readonly pages: readonly string[]
  readonly country: string
}

const cities = [
  { id: 'tampere', name: 'City of Tampere', country: 'FI', zone: 'Europe/Helsinki' },
  { id: 'ghent', name: 'City of Ghent', country: 'BE', zone: 'Europe/Brussels' },
  { id: 'porto', name: 'City of Porto', country: 'PT', zone: 'Europe/Lisbon' },
  { id: 'leipzig', name: 'City of Leipzig', country: 'DE', zone: 'Europe/Berlin' },
  { id: 'bologna', name: 'City of Bologna', country: 'IT', zone: 'Europe/Rome' },
  { id: 'galway', name: 'City of Galway', country: 'IE', zone: 'Europe/Dublin' },
] as const

const apps = [
  { id: 'street-report', name: 'Report a street fault', journey: 'report', pages: ['/', '/report', '/report/where', '/report/what', '/report/sent', '/map'] },
  { id: 'school-finder', name: 'Find a school place', journey: 'find_place', pages: ['/', '/search', '/school/:id', '/compare', '/apply'] },
  { id: 'consultation', name: 'Answer a consultation', journey: 'answer', pages: ['/', '/open', '/topic/:id', '/answer', '/thanks'] },
  { id: 'waste-calendar', name: 'Waste calendar', journey: 'subscribe', pages: ['/', '/address', '/calendar', '/subscribe'] },
  { id: 'allotments', name: 'Book an allotment', journey: 'book', pages: ['/', '/gardens', '/garden/:id', '/book'] },
  { id: 'parking-permit', name: 'Parking permit', journey: 'apply', pages: ['/', '/zones', '/apply', '/documents', '/pay'] },
  { id: 'air-quality', name: 'Air quality near me', journey: 'alert', pages: ['/', '/station/:id', '/history', '/alerts'] },
  { id: 'budget-vote', name: 'Participatory budget', journey: 'vote', pages: ['/', '/ideas', '/idea/:id', '/vote', '/results'] },
] as const

/** app, city, days before the end that it was launched, visits, completion, liking, and where it was borrowed from. */
const plan: readonly (readonly [string, string, number, number, number, number, string?, ('redeployed-unchanged' | 'configured' | 'variant' | 'inspired-by')?])[] = [
  ['street-report', 'tampere', 900, 130, 0.74, 4.1],
  ['street-report', 'ghent', 280, 110, 0.71, 4.0, 'street-report-tampere', 'configured'],
  ['street-report', 'porto', 170, 95, 0.58, 3.4, 'street-report-tampere', 'variant'],
  ['street-report', 'galway', 60, 40, 0.7, 4.2, 'street-report-ghent', 'redeployed-unchanged'],
  ['school-finder', 'leipzig', 700, 90, 0.62, 3.9],
  ['school-finder', 'bologna', 210, 70, 0.51, 3.6, 'school-finder-leipzig', 'configured'],
  ['consultation', 'ghent', 620, 60, 0.44, 3.5],
  ['consultation', 'galway', 150, 25, 0.47, 3.8, 'consultation-ghent', 'redeployed-unchanged'],
  ['waste-calendar', 'leipzig', 1200, 160, 0.81, 4.4],
  ['waste-calendar', 'tampere', 320, 120, 0.83, 4.5, 'waste-calendar-leipzig', 'configured'],
  ['allotments', 'galway', 400, 18, 0.66, 4.0],
  ['parking-permit', 'porto', 800, 100, 0.68, 3.1],
  ['parking-permit', 'bologna', 120, 65, 0.55, 2.9, 'parking-permit-porto', 'variant'],
  ['air-quality', 'bologna', 500, 80, 0.35, 3.7],
  ['air-quality', 'leipzig', 90, 55, 0.36, 3.9, 'air-quality-bologna', 'redeployed-unchanged'],
  ['budget-vote', 'porto', 330, 75, 0.63, 4.0],
]

const dayBefore = (end: string, days: number): string => new Date(Date.parse(`${end}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10)

/** The programme of the demo: six cities, eight apps, some of them borrowed from another city. */
export function demoCatalogue(end: string): Catalogue {
  return {
    organisations: cities.map(({ id, name, country }) => ({ id, name, country, type: 'city' })),
    apps: apps.map(({ id, name }) => ({ id, name, repository: `https://code.example.org/civic/${id}`, licence: 'EUPL-1.2' })),
    deployments: plan.map(([app, city, launched, , , , borrowed_from, relation]) => ({
      id: `${app}-${city}`,
      app,
      organisation: city,
      name: `${apps.find(({ id }) => id === app)!.name}, ${cities.find(({ id }) => id === city)!.name.replace('City of ', '')}`,
      url: `https://${app}.${city}.example`,
      time_zone: cities.find(({ id }) => id === city)!.zone,
      origins: [`https://${app}.${city}.example`],
      test_origins: [],
      environment: 'production' as const,
      mode: 'exempt' as const,
      launched_on: dayBefore(end, launched),
      challenges: [],
      keep_params: [],
      ...(borrowed_from ? { borrowed_from, relation: relation! } : {}),
    })),
  }
}

/** How the deployments of the demo are used. */
export function demoTraffic(): ReadonlyMap<string, DemoTraffic> {
  return new Map(
    plan.map(([app, city, , visits, completion, liking]) => {
      const { journey, pages } = apps.find(({ id }) => id === app)!
      return [`${app}-${city}`, { visits, completion, liking, journey, pages, country: cities.find(({ id }) => id === city)!.country }]
    }),
  )
}
