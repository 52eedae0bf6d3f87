// Shows this page's own beacon arriving: received comes from the log's tail, the number from the board's own query.
const view = document.querySelector('[data-stream]')
const number = document.getElementById('start-number')
const steps = { received: document.getElementById('step-received'), board: document.getElementById('step-board') }
let shown = Number(number.dataset.value)
let waited = 0

const done = (name) => {
  const step = steps[name]
  if (step.dataset.state === 'done') return
  step.dataset.state = 'done'
  step.querySelector('.state').textContent = step.dataset.done
}
const hint = (name, show = true) => (document.getElementById(`hint-${name}`).hidden = !show)

if (navigator.globalPrivacyControl || navigator.doNotTrack === '1') hint('opted-out')

const stream = new EventSource(view.dataset.stream)
stream.addEventListener('beacon', (message) => {
  const beacon = JSON.parse(message.data)
  done('received')
  hint('blocked', false)
  const reason = beacon.bot ? 'bot' : beacon.test ? 'test' : null
  if (reason === null) return
  hint(reason)
  // It is stored, and no number will show it: nothing is awaited any more.
  if (steps.board.dataset.state === 'done') return
  steps.board.dataset.state = 'left-out'
  steps.board.querySelector('.state').textContent = view.dataset.leftOut
})

const look = async () => {
  try {
    const answer = await fetch(view.dataset.number, { headers: { accept: 'application/json' } })
    if (answer.ok) {
      const { rows } = await answer.json()
      const value = rows.reduce((sum, row) => sum + (row.value ?? 0), 0)
      if (value > shown) {
        shown = value
        number.textContent = value.toLocaleString('en-GB')
        number.classList.remove('changed')
        void number.offsetWidth
        number.classList.add('changed')
        done('received')
        done('board')
        hint('blocked', false)
      }
    }
  } catch {
    // The server is away for a moment: the next look tells.
  }
  waited += 1
  if (waited === 15 && steps.received.dataset.state !== 'done' && document.getElementById('hint-opted-out').hidden)
    hint('blocked')
  // Every second while something is awaited, then now and then.
  setTimeout(look, waited < 60 && steps.board.dataset.state === 'waiting' ? 1000 : 4000)
}
void look()
