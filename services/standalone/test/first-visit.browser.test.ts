import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'
import { launchChromium } from '../../../shared/sdk/test/chromium.ts'

test('a stranger follows the link that the first command prints, and sees their own visit become a number', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-first-'))
  const footfall = spawn(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'start'], {
    env: { ...process.env, DATA_DIR: join(directory, 'data'), PORT: '0', LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const browser = await launchChromium()
  try {
    const link = await new Promise<string>((resolve, reject) => {
      let output = ''
      footfall.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8')
        const found = /Sign in\s+(http\S+)/.exec(output)?.[1]
        if (found) resolve(found)
      })
      footfall.once('exit', (code) => reject(new Error(`footfall ended with ${code}`)))
    })
    const page = await browser.newPage()
    // Headless Chromium says so in its agent, and would be counted as the program it is.
    const context = await browser.newContext({
      userAgent:
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
    })
    await page.close()
    const visit = await context.newPage()
    await visit.goto(link)
    expect(new URL(visit.url()).pathname).toBe('/start')
    await visit.waitForSelector('#step-received[data-state="done"]', { timeout: 20_000 })
    await visit.waitForSelector('#step-board[data-state="done"]', { timeout: 20_000 })
    // Where the link leads a second time is no way in.
    const second = await (await browser.newContext()).newPage()
    await second.goto(link)
    expect(new URL(second.url()).pathname).not.toBe('/start')
  } finally {
    await browser.close()
    footfall.kill('SIGTERM')
    await new Promise((resolve) => footfall.once('exit', resolve))
    await rm(directory, { recursive: true, force: true })
  }
})
