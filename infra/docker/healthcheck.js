// Ends with 0 while the service of this container can do its work.
const answer = await fetch(`http://127.0.0.1:${process.env.PORT ?? 8080}/readyz`).catch(() => null)
process.exit(answer?.ok ? 0 : 1)
