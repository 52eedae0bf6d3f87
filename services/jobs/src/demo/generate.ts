import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { topics, type EventRecord } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import type { EventLog } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import * as z from 'zod'
import { demoCatalogue, demoTraffic, type DemoTraffic, type Rhythm } from './catalogue.ts'

export const demoPayloadSchema = z.strictObject({
  seed: z.number().int(),
  /** Multiplies the visits. */
  scale: z.number().min(0.001).max(100),
  /** The last day of the history as it was first made: the dates of the catalogue count back from it. */
  end: z.iso.date(),
  /** The days to make, both included. */
  from: z.iso.date(),
  until: z.iso.date(),
})

const checkpointSchema = z.object({ day: z.string(), events: z.number() })
const recordsPerAppend = 2_000
/** Visits by hour of the local day, as parts of the whole, and what a day of the weekend has of a working day. */
const rhythms: Readonly<Record<Rhythm, { hours: readonly number[]; saturday: number; sunday: number }>> = {
  office: {
    hours: [0, 0, 0, 0, 0, 0, 2, 6, 11, 13, 13, 11, 7, 9, 11, 10, 7, 4, 3, 2, 2, 2, 1, 1],
    saturday: 0.24,
    sunday: 0.16,
  },
  evening: {
    hours: [1, 0, 0, 0, 0, 0, 1, 3, 4, 4, 4, 4, 5, 4, 4, 4, 5, 7, 9, 12, 13, 11, 7, 3],
    saturday: 0.7,
    sunday: 0.85,
  },
  outdoors: {
    hours: [1, 0, 0, 0, 0, 1, 3, 8, 9, 6, 6, 6, 7, 6, 6, 7, 9, 10, 8, 6, 4, 3, 2, 1],
    saturday: 0.8,
    sunday: 0.65,
  },
}
const referrers = ['', '', '', 'search.example', 'search.example', 'news.example', 'social.example', 'library.example']
type Agent = readonly [device: string, browser: string, system: string]
const desktops: readonly Agent[] = [
  ['desktop', 'Chrome', 'Windows'],
  ['desktop', 'Chrome', 'Windows'],
  ['desktop', 'Edge', 'Windows'],
  ['desktop', 'Firefox', 'Windows'],
  ['desktop', 'Firefox', 'Linux'],
  ['desktop', 'Safari', 'Mac OS'],
]
const mobiles: readonly Agent[] = [
  ['mobile', 'Mobile Safari', 'iOS'],
  ['mobile', 'Mobile Safari', 'iOS'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Samsung Browser', 'Android'],
  ['tablet', 'Mobile Safari', 'iOS'],
]
const bot: Agent = ['bot', '', '']

/** Visits by somebody who was there before on the same day. */
const returning = 0.16
/** Visits that no salt covers: counted in views, not in visitors. */
const withoutVisitor = 0.008
/** Beacons that never arrive. */
const lost = 0.004

/** Numbers in [0, 1) that follow from a text: the same text, the same numbers. */
function createRandom(text: string): () => number {
  let state = createHash('sha256').update(text).digest().readUInt32LE(0)
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Visits of a deployment on a day: growth after launch, weekday, season, weather, a campaign and a day of outage. */
function visitsOn(day: string, deployment: Deployment, traffic: DemoTraffic, random: () => number): number {
  const date = new Date(`${day}T12:00:00Z`)
  const age = (date.getTime() - Date.parse(`${deployment.launched_on ?? day}T12:00:00Z`)) / 86_400_000
  if (age < 0 || (deployment.retired_on !== undefined && day > deployment.retired_on)) return 0
  const growth = 1 - 0.75 * Math.exp(-age / 90)
  const { saturday, sunday } = rhythms[traffic.rhythm]
  const weekday = [sunday, 1, 1, 1.05, 1, 0.9, saturday][date.getUTCDay()]!
  const month = date.getUTCMonth() + (date.getUTCDate() - 15) / 30
  const season = 1 + traffic.swing * Math.cos(((month - traffic.peakMonth) / 12) * 2 * Math.PI)
  const weather = 0.8 + 0.4 * random()
  const launch = age < 5 ? 2.5 : 1
  const special = createHash('sha256').update(`${deployment.id} ${day}`).digest()[0]!
  const event = special === 7 ? 3 : special === 13 ? 0.02 : 1
  return traffic.visits * growth * weekday * season * weather * launch * event
}

/** Every event of a deployment on a local day: a pure function of seed, deployment and day. */
export function demoDay(
  seed: number,
  scale: number,
  day: string,
  deployment: Deployment,
  traffic: DemoTraffic,
  localTime: ReturnType<typeof createLocalClock>,
  receivedAt: number,
): EventRecord[] {
  const random = createRandom(`${seed} ${deployment.id} ${day}`)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
  /** Eight hexadecimal digits. */
  const hex = (): string =>
    Math.floor(random() * 4_294_967_296)
      .toString(16)
      .padStart(8, '0')
  const records: EventRecord[] = []
  const midnight = Date.parse(`${day}T00:00:00Z`)
  const noon = midnight + 12 * 3600_000
  // The zone's offset at noon: near enough for invented visits.
  const offset = (localTime(deployment.time_zone, noon).hour - 12) * 3600_000
  const { host } = new URL(deployment.url!)
  const { hours } = rhythms[traffic.rhythm]
  const hourSum = hours.reduce((sum, part) => sum + part, 0)
  const { pages, journey } = traffic
  const visits = Math.round(visitsOn(day, deployment, traffic, random) * scale)
  const people: Pick<EventRecord, 'device' | 'browser' | 'system' | 'country' | 'visitor'>[] = []
  const newPerson = (isBot: boolean): (typeof people)[number] => {
    const [device, browser, system] = isBot ? bot : pick(random() < traffic.mobile ? mobiles : desktops)
    const country = random() < 0.94 ? traffic.country : pick(['FR', 'NL', 'ES', 'SE', ''])
    const visitor = random() < withoutVisitor ? '0' : BigInt(`0x${hex()}${hex()}`).toString()
    return { device, browser, system, country, visitor }
  }
  for (let visit = 0; visit < visits; visit++) {
    let part = random() * hourSum
    const hour = hours.findIndex((weight) => (part -= weight) < 0)
    let at = midnight - offset + (hour + random()) * 3600_000
    const isBot = random() < 0.015
    const person = !isBot && people.length > 0 && random() < returning ? pick(people) : newPerson(isBot)
    if (!isBot && person.visitor !== '0') people.push(person)
    const page_id = hex() + hex()
    let seq = 0
    const add = (name: string, path: string, more: Partial<EventRecord> = {}): void => {
      const whole = Math.round(at)
      at += 5_000 + random() * 90_000
      const number = seq++
      if (random() < lost) return
      const local = localTime(deployment.time_zone, whole)
      const time = whole.toString(16).padStart(12, '0')
      const rest = hex() + hex() + hex()
      records.push({
        ...blankRecord,
        ...person,
        id: `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(6, 18)}`,
        deployment: deployment.id,
        source: 'demo',
        received_at: receivedAt,
        at: whole,
        local_day: local.day,
        local_hour: local.hour,
        name,
        host,
        path,
        bot: isBot,
        page_id,
        app_version: '1.4.0',
        seq: number,
        content: crc32(`${whole} ${name}`),
        ...more,
      })
    }

    // They arrive, look around, and some set out on the journey, from wherever on the way to its end they are.
    add('page_view', random() < 0.6 ? '/' : pick(pages), { referrer: pick(referrers) })
    const looks = Math.min(12, Math.floor(-Math.log(1 - random())))
    for (let look = 0; look < looks; look++) add('page_view', pick(pages))
    if (traffic.dataset !== null && random() < 0.3)
      add('dataset_used', pages[Math.min(looks, pages.length - 1)]!, { dataset: traffic.dataset })
    if (random() > (looks > 0 ? 0.6 : 0.15)) continue
    const begin = 1 + Math.floor(random() * random() * (pages.length - 2))
    const end = pages.length - 1
    const isCompleted = random() < traffic.completion
    const leaveAt = isCompleted ? end : begin + Math.floor(random() * (end - begin + 1))
    const journey_id = hex() + hex()
    add('page_view', pages[begin]!)
    add('journey_start', pages[begin]!, { journey, journey_id })
    for (let page = begin + 1; page <= leaveAt; page++) add('page_view', pages[page]!)
    const last = pages[leaveAt]!
    if (!isCompleted) {
      const journey_step = last.slice(last.lastIndexOf('/') + 1)
      if (random() < 0.2) add('journey_error', last, { journey, journey_id, journey_step })
      continue
    }
    add('journey_complete', last, {
      journey,
      journey_id: random() < traffic.withId ? journey_id : '',
      outcome: random() < 0.93 ? 'completed' : 'not_eligible',
    })
    if (random() < 0.3) {
      const rating = Math.max(1, Math.min(5, Math.round(traffic.liking + (random() + random() - 1) * 2)))
      add('rating', last, { rating })
    }
  }
  return records
}

/**
 * Makes days of a believable programme and sends them through the log, a day at a time; goes on after the last whole
 * day. The same seed and day make the same events with the same ids, so a repetition counts nothing twice.
 */
export async function generateDemo(
  job: Job,
  context: JobContext,
  parts: { log: EventLog; now: () => number },
): Promise<{ events: number; days: number }> {
  const { seed, scale, end, from, until } = demoPayloadSchema.parse(job.payload)
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const traffic = demoTraffic()
  const deployments = demoCatalogue(end).deployments
  const localTime = createLocalClock()
  const receivedAt = parts.now()
  let events = known.success ? known.data.events : 0
  const daysTo = (day: string): number => Math.round((Date.parse(day) - Date.parse(from)) / 86_400_000) + 1
  const days = Math.max(0, daysTo(until))
  for (let day = known.success ? shiftDay(known.data.day, 1) : from; day <= until; day = shiftDay(day, 1)) {
    context.signal.throwIfAborted()
    const records = deployments.flatMap((deployment) =>
      demoDay(seed, scale, day, deployment, traffic.get(deployment.id)!, localTime, receivedAt),
    )
    for (let start = 0; start < records.length; start += recordsPerAppend) {
      await parts.log.append(
        topics.events,
        records
          .slice(start, start + recordsPerAppend)
          .map((record) => ({ key: record.deployment + record.id, value: JSON.stringify(record) })),
      )
    }
    events += records.length
    await context.progress({
      done: daysTo(day),
      total: days,
      note: `${day}: ${events} events`,
      checkpoint: { day, events },
    })
  }
  return { events, days }
}
