import { addFacts, pause, until, type Bench, type Facts } from './bench.ts'
import { kill, type FootfallProcess } from './footfall-process.ts'

/** Polls about every millisecond for an open claim; false when none came within the time. */
async function claimOpens(footfall: FootfallProcess, limitMs: number): Promise<boolean> {
  for (const end = Date.now() + limitMs; Date.now() < end; await pause(1)) {
    if (footfall.hasOpenClaim()) return true
  }
  return false
}

/** Kills the main process under load, half the times inside an open claim, some while it starts, some with the engine. */
export async function killMain(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random, say } = bench
  const client = bench.load()
  let [open, starting, both] = [0, 0, 0]
  for (let done = 1; done <= times; done++) {
    await pause(300 + random() * 600)
    const storePid = await footfall.storePid()
    // Half are aimed inside an open claim; of these half a moment later, when the insert is under way.
    if (done % 2 === 0 && (await claimOpens(footfall, 3_000)) && done % 4 === 0) await pause(random() * 25)
    // A quarter takes the engine down in the same moment, as a power cut would.
    if (random() < 0.25 && kill(storePid)) both++
    await footfall.end('SIGKILL')
    if (footfall.hasOpenClaim()) open++
    if (done < times && random() < 0.1) {
      done++
      starting++
      footfall.launch()
      await pause(random() * 1_200)
      await footfall.end('SIGKILL')
      if (footfall.hasOpenClaim()) open++
    }
    await footfall.start()
    if (done % 25 === 0) say(`      ${done} of ${times} kills, ${client.counts.events} events sent`)
  }
  const answers = await bench.finish(client)
  return addFacts({ 'claims left open': open, 'while starting': starting, 'together with the engine': both }, answers)
}

/** Kills the engine under load, half the times while a claim is open. */
export async function killStore(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random } = bench
  const client = bench.load()
  let open = 0
  for (let done = 0; done < times; done++) {
    await pause(300 + random() * 600)
    let pid: number | null = null
    await until('embedded ClickHouse to run', async () => (pid = await footfall.storePid()) !== null, 20_000)
    if (done % 2 === 0 && (await claimOpens(footfall, 3_000))) await pause(random() * 15)
    if (footfall.hasOpenClaim()) open++
    kill(pid)
  }
  return addFacts({ 'inside an open claim': open }, await bench.finish(client))
}

/** Asks the main process to stop under load: it has 10 seconds, and nobody waits in vain. */
export async function drain(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random } = bench
  const client = bench.load(200)
  let slowest = 0
  for (let done = 0; done < times; done++) {
    await pause(300 + random() * 600)
    const { code, ms } = await footfall.end('SIGTERM')
    slowest = Math.max(slowest, ms)
    if (code !== 0 || ms > 10_000) throw new Error(`a drain ended with ${code} after ${ms} ms:\n${footfall.output()}`)
    await footfall.start()
  }
  return addFacts({ 'slowest in ms': slowest }, await bench.finish(client))
}
