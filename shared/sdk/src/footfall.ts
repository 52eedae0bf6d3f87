import { createSender, type EventFields } from './beacon.ts'
import { randomHex } from './id.ts'

export interface FootfallOptions {
  /** Public key of the deployment. */
  readonly key: string
  /** Address of `POST /v1/events`. */
  readonly endpoint: string
  /** exempt: counts at once; consent: waits for `consent(true)`; off: does nothing. Default exempt. */
  readonly mode?: string | undefined
  /** 'off': only `page()` counts page views; default: this page, and navigation within it. */
  readonly auto?: string | undefined
  /** Logs every event and answer to the console. */
  readonly debug?: unknown
  readonly appVersion?: string | undefined
}

/** A task that a citizen does; its id is random and lives as long as this object. */
export interface Journey {
  readonly id: string
  step(step: string): void
  complete(outcome?: string): void
  /** 'error', 'save' or 'resume', with the step where it happened. */
  mark(what: 'error' | 'save' | 'resume', at?: { step: string }): void
}

export interface Footfall {
  /** Counts a page view of this page, or of another address. */
  page(url?: string): void
  /** Counts an event of your own: lower-case name, up to 64 props. */
  track(name: string, fields?: EventFields): void
  /** Starts a journey. */
  journey(name: string): Journey
  /** Completes a journey that began on an earlier page: the server finds its start. */
  complete(journey: string, outcome?: string): void
  /** 1 to 5. */
  rating(rating: number): void
  /** For mode consent: counts from now on, or stops. */
  consent(given: boolean): void
  /** Stores the visitor's objection on the device, the only thing that is ever stored; nothing is sent afterwards. */
  optOut(): void
  /** Takes the objection back. */
  optIn(): void
  /** Sends what waits now. */
  flush(): void
}

const objection = 'footfall-opt-out'

/** Counts visits without storing anything on the device; honours Global Privacy Control, Do Not Track and objection. */
export function createFootfall({ key, endpoint, mode, auto, debug, appVersion }: FootfallOptions): Footfall {
  let objected: unknown = (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl || navigator.doNotTrack === '1'
  let consented = !mode || mode === 'exempt'
  let seen: string | undefined
  const stored = (work: () => unknown): unknown => {
    try {
      return work()
    } catch {
      // Storage is blocked: an objection holds for this page.
    }
  }
  const optOut = (): void => {
    objected = 1
    stored(() => localStorage.setItem(objection, '1'))
  }
  objected ||= stored(() => localStorage.getItem(objection))
  if (location.hash === `#${objection}`) optOut()

  const { _add, _flush } = createSender(key, endpoint, () => consented && !objected, debug != null)
  const here = (): string => location.origin + location.pathname
  const track = (name: string, fields?: EventFields): void => _add(name, { url: here(), app_version: appVersion, ...fields } as EventFields)
  const page = (url = here()): void => {
    // The server keeps the host of another site, and nothing of our own.
    track('page_view', { url, referrer: seen ? '' : document.referrer.split('?')[0]! })
    seen = here()
  }
  const follow = (): void => {
    if (seen && seen !== here()) page()
  }
  const begin = (): void => {
    if (auto !== 'off' && consented && !seen) page()
  }

  addEventListener('visibilitychange', (event) => document.hidden && _flush(event))
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted && seen) page()
  })
  if (auto !== 'off') {
    const { navigation } = window as { navigation?: EventTarget }
    // Browsers without the Navigation API tell nobody of pushState: there an app calls page() itself.
    if (navigation) navigation.addEventListener('navigatesuccess', follow)
    else addEventListener('popstate', follow)
  }
  if ((document as { prerendering?: boolean }).prerendering) addEventListener('prerenderingchange', begin, true)
  else begin()

  return {
    page,
    track,
    journey(name) {
      const id = randomHex(8)
      const tell = (what: string, more?: object): void => track(`journey_${what}`, { journey: { id, name, ...more } })
      tell('start')
      return {
        id,
        step: (step) => tell('step', { step }),
        complete: (outcome) => tell('complete', { outcome }),
        mark: tell,
      }
    },
    complete: (name, outcome) => track('journey_complete', { journey: { name, outcome } }),
    rating: (rating) => track('rating', { rating }),
    consent(given) {
      consented = given && mode !== 'off'
      begin()
    },
    optOut,
    optIn() {
      objected = stored(() => localStorage.removeItem(objection))
      begin()
    },
    flush: _flush,
  }
}
