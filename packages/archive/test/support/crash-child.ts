import { asFileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../../src/node/index.ts'
import { crashStates } from './crash-states.ts'
import { killAtWrite } from './kill-at-write.ts'
import type { WriteMoment } from './kill-at-write.ts'
import { push } from './push.ts'

/** Syncs the second state, drops all versions, or only holds the archive, and prints what is durable, until it is killed. */
const [root, work, write, moment] = process.argv.slice(2)
if (root === undefined) throw new Error('The archive is missing.')

async function sync (at: string): Promise<void> {
  const archive = await openArchive({
    root: at,
    keepMs: work === 'prune' ? 1 : 1e12,
    deletions: 'mirror',
    reserveBytes: 0,
    clock: systemClock,
    signal: new AbortController().signal,
  })
  process.stdout.write('opened\n')
  try {
    if (work === 'hold') await new Promise(() => { setInterval(() => { /* until it is killed */ }, 60_000) })
    const area = await archive.area('laptop')
    if (work === 'prune') {
      process.stdout.write(`finished ${String(await area.prune())}\n`)
      return
    }
    const outcome = await push(area, crashStates()[1], {
      packBytes: 100,
      onSync: sync => { sync.onStored = ({ files }) => { process.stdout.write(`stored ${String(files)}\n`) } },
    })
    process.stdout.write(`finished ${String(outcome.files)}, ${String(outcome.problemCount)} problems\n`)
  } finally {
    await archive.close()
  }
}

if (write !== undefined) await killAtWrite(Number(write), moment as WriteMoment)
await sync(root).catch((error: unknown) => {
  const { code, message } = asFileSyncError(error)
  process.stdout.write(`failed ${code} ${message}\n`)
})
