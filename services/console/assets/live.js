// Puts what arrives at the top of its list. The server sends finished markup: nothing is built here.
const view = document.querySelector('[data-stream]')
const status = document.getElementById('live-status')
const pause = document.getElementById('live-pause')
const lists = { beacon: document.getElementById('beacons'), refusal: document.getElementById('refusals') }
const mostRows = 60
let paused = false

const add = (kind) => (message) => {
  if (paused) return
  const list = lists[kind]
  list.parentElement.querySelector('.empty')?.remove()
  list.insertAdjacentHTML('afterbegin', JSON.parse(message.data).markup)
  while (list.children.length > mostRows) list.lastElementChild.remove()
}
const stream = new EventSource(view.dataset.stream)
stream.addEventListener('ready', () => (status.textContent = view.dataset.connected))
stream.addEventListener('beacon', add('beacon'))
stream.addEventListener('refusal', add('refusal'))
stream.addEventListener('error', () => (status.textContent = view.dataset.lost))

pause.hidden = false
pause.addEventListener('click', () => {
  paused = !paused
  pause.textContent = paused ? pause.dataset.resume : pause.dataset.pause
  status.textContent = paused ? view.dataset.paused : view.dataset.connected
})
