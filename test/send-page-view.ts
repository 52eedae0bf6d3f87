import { randomUUID } from 'node:crypto'

/** One page view of a page of this machine, as a browser sends it. @returns the answer's body. */
export async function sendPageView(url: string, key: string): Promise<unknown> {
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', origin: 'http://localhost', 'user-agent': 'Mozilla/5.0 Firefox/128.0' },
    body: JSON.stringify({
      key,
      sent_at: Date.now(),
      events: [{ id: randomUUID(), name: 'page_view', at: Date.now(), url: 'http://localhost/' }],
    }),
  })
  return response.json()
}
