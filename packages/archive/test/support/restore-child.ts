import { ROOT_PATH } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../../src/node/index.ts'

/** Restores the present state of an area until it is killed. */
const [root = '', to = ''] = process.argv.slice(2)
const archive = await openArchive({
  root,
  keepMs: 86_400_000,
  deletions: 'mirror',
  reserveBytes: 0,
  clock: systemClock,
  signal: new AbortController().signal,
})
const { failures } = await (await archive.area('laptop')).restore({ path: ROOT_PATH, at: { ms: Infinity }, to })
await archive.close()
process.stdout.write(`restored ${String(failures.length)}\n`)
