import { errorTable } from '@footfall/contracts/errors'
import type { Deployment } from '@footfall/contracts/registry'
import type { FastifyInstance } from 'fastify'

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escape = (text: string): string => text.replace(/[&<>"']/g, (sign) => escapes[sign]!)

const basis: Readonly<Record<Deployment['mode'], string>> = {
  exempt:
    'The operator of this service relies on the exemption for audience measurement: only anonymous statistics, only for the service itself, no identifier that lasts beyond a day, nothing stored on your device.',
  consent: 'Nothing is counted until you agree. You can take your agreement back at any time.',
  off: 'Measurement of this service is switched off: nothing is counted.',
}

const style = `:root{color-scheme:light dark}body{font:1.0625rem/1.6 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:2rem 1.25rem}
h1{font-size:1.75rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2rem}li{margin:.35rem 0}
.object{display:inline-block;padding:.75rem 1.25rem;border:2px solid currentColor;border-radius:.5rem;font-weight:600;text-decoration:none;color:inherit}
a:focus-visible{outline:3px solid;outline-offset:3px}`

interface PrivacyFacts {
  readonly retentionMonths: number
  readonly operator: string
}

function page(deployment: Deployment, facts: PrivacyFacts): string {
  const name = escape(deployment.name ?? deployment.id)
  const object = deployment.url ? `${deployment.url.split('#')[0]}#footfall-opt-out` : null
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>What ${name} counts</title><style>${style}</style></head><body><main>
<h1>What ${name} counts, and how to object</h1>
<p>${name} counts how it is used, to find out what works and to improve it. ${escape(basis[deployment.mode])}</p>
<h2>What is kept</h2><ul>
<li>Which page or step was opened, and when. Search words, form contents and everything after “?” in an address are cut off.</li>
<li>Which site linked here (its name only), and the kind of device, browser and system.</li>
<li>The country, nothing finer.</li>
<li>A number that stands for a visitor on one day in this service. It is made with a secret that is deleted at the end of the next day; after that nobody can tell whose it was, or link two days.</li>
<li>Tasks started and completed, and ratings you give.</li></ul>
<h2>What is not kept</h2><ul>
<li>Your network address and your browser’s full signature: used for a moment in memory, written nowhere.</li>
<li>Nothing is stored on your device: no cookie, no identifier. Nothing follows you to other sites.</li></ul>
<h2>How long</h2>
<p>Single events for ${facts.retentionMonths} months, then only daily sums.</p>
<h2>How to object</h2>
<p>Browsers that send Global Privacy Control or Do Not Track are never counted. Or object here, once, for this browser; the choice is the only thing that is then stored on your device:</p>
${object ? `<p><a class="object" href="${escape(object)}" rel="noreferrer">Do not count my visits</a></p>` : '<p>Open the service with <code>#footfall-opt-out</code> at the end of its address.</p>'}
<h2>Who is responsible</h2>
<p>${escape(facts.operator)}${deployment.contact ? `, ${escape(deployment.contact)}` : ''}.</p>
</main></body></html>`
}

/** `/privacy/{deployment}`: what is counted, why that is allowed, and a one-click objection, in plain words. */
export function privacyRoute(
  app: FastifyInstance,
  options: { find: (id: string) => { deployment: Deployment; operator: string } | null; retentionMonths: number },
): void {
  app.get<{ Params: { deployment: string } }>('/privacy/:deployment', async (request, reply) => {
    const found = options.find(request.params.deployment)
    if (!found) {
      const { message, hint } = errorTable.NOT_FOUND
      return reply.code(404).send({ error: { code: 'NOT_FOUND', message, hint } })
    }
    return reply
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
      .header('cache-control', 'public, max-age=300')
      .header('x-content-type-options', 'nosniff')
      .type('text/html; charset=utf-8')
      .send(page(found.deployment, { retentionMonths: options.retentionMonths, operator: found.operator }))
  })
}
