// Copies what a button names, and says so.
for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = false
  button.addEventListener('click', async () => {
    const words = button.textContent
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
      button.textContent = button.dataset.done
      setTimeout(() => (button.textContent = words), 2000)
    } catch {
      // No clipboard (an http page of another host): select it, so that one key copies.
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy))
    }
  })
}
