import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

function findChromium(): string {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin'].filter(Boolean)
  for (const path of directories.flatMap((directory) => names.map((name) => join(directory, name)))) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here: the next place.
    }
  }
  throw new Error('Browser tests need Chromium and find none on the PATH. Install it: apt-get install chromium')
}

/**
 * Starts the system's Chromium without a window; the caller closes it.
 * @param options.backForwardCache lets pages wait in the back/forward cache, which Playwright otherwise switches off.
 * @throws an error that names the install command when there is no Chromium.
 */
export async function launchChromium(options: { backForwardCache?: boolean } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    ignoreDefaultArgs: options.backForwardCache ? ['--disable-back-forward-cache'] : [],
  })
}
