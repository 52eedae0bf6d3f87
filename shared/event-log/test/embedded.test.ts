import { eventLogContract } from './contract.ts'
import { makeDirectories } from './directories.ts'

eventLogContract('the embedded log', async () => {
  const directories = await makeDirectories()
  let directory = directories.fresh()
  return {
    open: () => directories.open(directory, { partitions: { one: 1, many: 3 }, segmentBytes: 256 * 1024 }),
    crash: async () => {
      directory = await directories.crashCopy(directory)
    },
    remove: directories.remove,
  }
})
