import { test } from 'vitest'
import { launchChromium } from './chromium.ts'
import { startSite } from './site.ts'
import { startTarget } from './target.ts'
test('scratch', async () => {
  const browser = await launchChromium()
  const target = await startTarget()
  const site = await startSite(target)
  for (let n = 0; n < 25; n++) {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(site.origin + '/debug.html')
  const n0 = target.stored.items.length, b0 = target.beacons.items.length
  await target.stored.until((s) => s.length > n0 || n > 0)
  const t0 = Date.now()
  page.on('request', (r) => console.log(Date.now() - t0, 'req', r.url().slice(-14), r.isNavigationRequest(), r.postData()?.length))
  page.on('requestfailed', (r) => console.log(Date.now() - t0, 'failed', r.url().slice(-14), r.failure()?.errorText))
  page.on('requestfinished', (r) => console.log(Date.now() - t0, 'finished', r.url().slice(-14)))
  await page.evaluate(() => {
    const a = document.createElement('a'); a.href='other.html'; a.textContent='x'; document.body.append(a)
    const words = { text: 'ä'.repeat(1_000) }
    for (let index = 0; index < 60; index++) window.footfall.track('large', { props: words })
  })
  console.log(Date.now() - t0, 'evaluated')
  await page.click('a')
  console.log(Date.now() - t0, 'clicked')
  await target.stored.until((stored) => stored.slice(n0).filter(({ name }) => name === 'large').length >= 60)
  console.log(Date.now() - t0 > 3000 ? "SLOW" : "", Date.now() - t0, "all", target.beacons.items.slice(b0).map((b) => [b.sent_at - t0, b.page_id?.slice(-4), b.events.length, b.events[0]!.attempt]).join(' | '))
  await context.close()
  }
  await browser.close(); await site.close(); await target.close()
})
