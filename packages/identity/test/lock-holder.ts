import { withFileLock } from '../src/node/file-lock.ts'

// Takes the lock that it is told, says so, and never lets go of its own will.
const [, , path = ''] = process.argv
await withFileLock(path, async () => {
  process.stdout.write('held\n')
  await new Promise(() => { setInterval(() => { /* stays alive */ }, 1 << 30) })
})
