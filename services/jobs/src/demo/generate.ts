import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { topics, type EventRecord } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import type { EventLog } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import * as z from 'zod'
import { demoCatalogue, demoTraffic, type DemoTraffic } from './catalogue.ts'

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
/** Visits by hour of the local day, as parts of the whole. */
const hours = [1, 1, 0, 0, 0, 1, 2, 5, 8, 9, 9, 8, 8, 7, 7, 7, 7, 7, 6, 6, 5, 5, 4, 2]
const hourSum = hours.reduce((sum, part) => sum + part, 0)
const referrers = ['', '', '', 'search.example', 'search.example', 'news.example', 'social.example', 'library.example']
const agents = [
  ['desktop', 'Chrome', 'Windows'],
  ['desktop', 'Firefox', 'Linux'],
  ['desktop', 'Edge', 'Windows'],
  ['desktop', 'Safari', 'Mac OS'],
  ['mobile', 'Mobile Safari', 'iOS'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Chrome', 'Android'],
  ['mobile', 'Samsung Browser', 'Android'],
  ['tablet', 'Mobile Safari', 'iOS'],
] as const

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

const hexOf = (random: () => number, digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')

/** Visits of a deployment on a day: growth after launch, weekday, season, weather, a campaign and a day of outage. */
function visitsOn(day: string, deployment: Deployment, traffic: DemoTraffic, random: () => number): number {
  const date = new Date(`${day}T12:00:00Z`)
  const age = (date.getTime() - Date.parse(`${deployment.launched_on ?? day}T12:00:00Z`)) / 86_400_000
  if (age < 0) return 0
  const growth = 1 - 0.75 * Math.exp(-age / 90)
  const weekend = [0, 6].includes(date.getUTCDay()) ? 0.45 : 1
  const season = 1 + 0.2 * Math.cos(((date.getUTCMonth() - 9) / 12) * 2 * Math.PI)
  const weather = 0.8 + 0.4 * random()
  const launch = age < 5 ? 2.5 : 1
  const special = createHash('sha256').update(`${deployment.id} ${day}`).digest()[0]!
  const event = special === 7 ? 3 : special === 13 ? 0.02 : 1
  return traffic.visits * growth * weekend * season * weather * launch * event
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
  const records: EventRecord[] = []
  const midnight = Date.parse(`${day}T00:00:00Z`)
  const noon = midnight + 12 * 3600_000
  // The zone's offset at noon: near enough for invented visits.
  const offset = (localTime(deployment.time_zone, noon).hour - 12) * 3600_000
  const visits = Math.round(visitsOn(day, deployment, traffic, random) * scale)
  for (let visit = 0; visit < visits; visit++) {
    let part = random() * hourSum
    const hour = hours.findIndex((weight) => (part -= weight) < 0)
    let at = midnight - offset + (hour + random()) * 3600_000
    const [device, browser, system] = pick(agents)
    const common = {
      device,
      browser,
      system,
      country: random() < 0.94 ? traffic.country : pick(['FR', 'NL', 'ES', 'SE', '']),
      visitor: BigInt(`0x${hexOf(random, 15)}`).toString(),
      page_id: hexOf(random, 16),
      bot: random() < 0.015,
    }
    let seq = 0
    const add = (name: string, more: Partial<EventRecord>): void => {
      const whole = Math.round(at)
      const local = localTime(deployment.time_zone, whole)
      const time = whole.toString(16).padStart(12, '0')
      const rest = hexOf(random, 18)
      records.push({
        ...blankRecord,
        ...common,
        id: `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(6)}`,
        deployment: deployment.id,
        source: 'demo',
        received_at: receivedAt,
        at: whole,
        local_day: local.day,
        local_hour: local.hour,
        name,
        host: new URL(deployment.url!).host,
        app_version: '1.4.0',
        seq: seq++,
        content: crc32(`${whole} ${name}`),
        ...more,
      })
      at += 5_000 + random() * 90_000
    }
    const referrer = pick(referrers)
    const pages = 1 + Math.floor(-Math.log(1 - random()) * 2.2)
    for (let page = 0; page < Math.min(pages, 12); page++) {
      const path = page === 0 && random() < 0.6 ? '/' : pick(traffic.pages)
      add('page_view', { path, referrer: page === 0 ? referrer : '' })
    }
    if (pages > 1 && random() < 0.55) {
      const id = random() < 0.8 ? hexOf(random, 16) : ''
      const path = traffic.pages.at(-1)!
      add('journey_start', { path, journey: traffic.journey, journey_id: id })
      if (random() < traffic.completion) {
        add('journey_complete', {
          path,
          journey: traffic.journey,
          journey_id: id,
          outcome: random() < 0.93 ? 'completed' : 'not_eligible',
        })
        if (random() < 0.3) {
          const level = Math.max(1, Math.min(5, Math.round(traffic.liking + (random() + random() - 1) * 2)))
          add('rating', { path, rating: level })
        }
      } else if (random() < 0.2)
        add('journey_error', { path, journey: traffic.journey, journey_id: id, journey_step: 'send' })
    }
    if (traffic.journey === 'alert' || traffic.journey === 'find_place') {
      if (random() < 0.5)
        add('dataset_used', {
          path: '/',
          dataset: traffic.journey === 'alert' ? 'air-measurements' : 'school-register',
        })
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
