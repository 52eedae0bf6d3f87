import { createSender, type EventFields } from './beacon.ts'
import { uuidv7 } from './id.ts'

export interface FootfallOptions {
  /** Public key of the deployment. */
  readonly key: string
  /** Address of `POST /v1/events`. */
  readonly endpoint: string | URL
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
  /** Sends what waits now, unless the server asked for silence. */
  flush(): void
}

const objection = 'footfall-opt-out'

/** Counts visits without storing anything on the device; honours Global Privacy Control, Do Not Track and objection. */
export function createFootfall({ key, endpoint, mode = 'exempt', auto, debug, appVersion }: FootfallOptions): Footfall {
  let objected: unknown
  let consented = mode === 'exempt'
  let seen: string | undefined
  /** true: objects; false: takes it back; undefined: what was chosen before. */
  const choose = (value?: boolean): void => {
    objected = value ?? objected
    try {
      if (value) localStorage[objection] = 1
      else if (value === false) delete localStorage[objection]
      else objected = localStorage[objection]
    } catch {
      // Storage is blocked: the choice holds for this page.
    }
  }
  const heedLink = (): void => choose(location.hash === '#' + objection || undefined)
  heedLink()

  const allowed = (): boolean =>
    consented &&
    !(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl &&
    navigator.doNotTrack !== '1' &&
    !objected
  const [add, flush] = createSender(key, endpoint, allowed, debug)
  const here = (): string => location.origin + location.pathname
  const track = (name: string, fields?: EventFields): void =>
    add(name, { url: here(), app_version: appVersion || undefined, ...fields })
  const page = (url = here()): void => {
    // The origin alone; the server keeps the host of another site, and nothing of our own.
    track('page_view', { url, referrer: seen ? '' : document.referrer.split(/\b\//)[0]! })
    seen = here()
  }
  /** Counts this page unless it is the one counted last. */
  const look = (): void => {
    if (seen !== here() && auto !== 'off' && !(document as { prerendering?: boolean }).prerendering && allowed()) page()
  }

  // Written out, and in this order, these compress better than a loop.
  addEventListener('pagehide', () => {
    flush()
    // When it comes back from the back/forward cache, that is another view.
    seen &&= ' '
  })
  addEventListener('pageshow', look)
  addEventListener('visibilitychange', () => {
    if (document.hidden) flush()
  })
  addEventListener('prerenderingchange', look, true)
  addEventListener('online', flush)
  addEventListener('hashchange', heedLink)
  const { navigation } = window as { navigation?: EventTarget }
  // Browsers without the Navigation API tell nobody of pushState, and we patch nothing of the page: there we look.
  if (navigation) navigation.addEventListener('navigatesuccess', look)
  else setInterval(look, 500)
  look()

  return {
    page,
    track,
    journey(name) {
      const id = uuidv7()
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
      look()
    },
    optOut: () => choose(true),
    optIn() {
      choose(false)
      look()
    },
    flush,
  }
}
