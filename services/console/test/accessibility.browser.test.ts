import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import type { AxeResults } from 'axe-core'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchChromium } from '../../../shared/sdk/test/chromium.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const token = 'accessibility-token-0000'
const pages = [
  '/login',
  '/',
  '/?group=app&period=90',
  '/deployments/street-report-tampere',
  '/deployments/street-report-tampere/snippet',
  '/deployments/new',
  '/live',
  '/boards/data-quality',
  '/boards/pipeline-health',
  '/registry',
  '/definitions',
  '/privacy/street-report-tampere',
  '/nowhere',
]

describe('a small demo programme', () => {
  let directory: string
  let footfall: ChildProcess
  let browser: Browser
  let url: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'footfall-pages-'))
    const args = ['demo', '--data', join(directory, 'demo'), '--days', '40', '--scale', '0.05']
    footfall = spawn(process.execPath, [join(findRoot(), 'dist/footfall.js'), ...args], {
      env: { ...process.env, DATA_DIR: join(directory, 'none'), PORT: '0', LOG_LEVEL: 'error', ADMIN_TOKEN: token },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    browser = await launchChromium()
    url = await new Promise<string>((resolve, reject) => {
      let output = ''
      footfall.stdout!.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8')
        const found = /Sign in\s+(http:\/\/[^/]+)/.exec(output)?.[1]
        if (found) resolve(found)
      })
      footfall.once('exit', (code) => reject(new Error(`footfall ended with ${code}`)))
    })
  }, 120_000)
  afterAll(async () => {
    await browser.close()
    footfall.kill('SIGTERM')
    await new Promise((resolve) => footfall.once('exit', resolve))
    await rm(directory, { recursive: true, force: true })
  })

  test.each(['light', 'dark'] as const)('meets WCAG 2.2 AA on every page, %s', async (colorScheme) => {
    // axe is put into the page, which its own policy would refuse.
    const context = await browser.newContext({ colorScheme, bypassCSP: true })
    const page = await context.newPage()
    const faults: string[] = []
    const look = async (path: string): Promise<void> => {
      const response = await page.goto(url + path)
      expect([path, response?.status()]).toEqual([path, path === '/nowhere' ? 404 : 200])
      expect(new URL(page.url()).pathname).toBe(path.split('?')[0])
      await page.addScriptTag({ content: axe })
      const { violations, passes } = await page.evaluate<AxeResults>(
        `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })`,
      )
      expect(passes.length, path).toBeGreaterThan(5)
      for (const { id, nodes } of violations)
        faults.push(
          `${path} ${id}: ${nodes
            .map(({ html }) => html.slice(0, 120))
            .slice(0, 3)
            .join(' | ')}`,
        )
    }
    await look('/login')
    await page.fill('input[name=token]', token)
    await page.click('main button')
    await page.waitForURL(`${url}/`)
    for (const path of pages.slice(1)) await look(path)
    expect(faults).toEqual([])
    await context.close()
  })
})
