import { createFootfall, type Footfall, type FootfallOptions } from './footfall.ts'

declare const window: { footfall?: Footfall }

/** The script tag: reads its own attributes and puts the API at `window.footfall`. Never throws into the page. */
try {
  const { dataset, src } = document.currentScript as HTMLScriptElement
  // A second tag would count everything twice; an element with this id is no tag.
  if (!window.footfall?.page)
    window.footfall = createFootfall({
      // Beside the script, also below a path of the app's own host.
      endpoint: new URL('v1/events', src),
      ...dataset,
    } as FootfallOptions)
} catch {
  // Measuring must not break what is measured.
}
