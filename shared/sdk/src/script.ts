import { createFootfall, type FootfallOptions } from './footfall.ts'

/** The script tag: reads its own attributes and puts the API at `window.footfall`. Never throws into the page. */
try {
  const { dataset, src } = document.currentScript as HTMLScriptElement
  ;(window as { footfall?: unknown }).footfall = createFootfall({
    // Beside the script, also below a path of the app's own host.
    endpoint: src.replace(/[^/]*$/, 'v1/events'),
    ...dataset,
  } as FootfallOptions)
} catch {
  // Measuring must not break what is measured.
}
