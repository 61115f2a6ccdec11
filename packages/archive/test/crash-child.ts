import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../src/node/index.ts'
import { crashStates } from './crash-states.ts'
import { push } from './push.ts'

/** Syncs the second state and tells what is durable, until it is killed. */
const [root] = process.argv.slice(2)
if (root === undefined) throw new Error('The archive is missing.')
const archive = await openArchive({ root, keepMs: 1e12, mode: 'mirror', reserveBytes: 0, clock: systemClock, signal: new AbortController().signal })
const area = await archive.area('laptop')
const outcome = await push(area, crashStates()[1], {
  packBytes: 100,
  onSync: sync => { sync.onStored = ({ files }) => { process.stdout.write(`stored ${String(files)}\n`) } },
})
process.stdout.write(`finished ${String(outcome.files)}\n`)
await archive.close()
