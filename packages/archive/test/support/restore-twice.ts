import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../../src/node/index.ts'
import { push } from './push.ts'
import { SourceTree } from './source-tree.ts'

/** Restores three times into one directory in the given folder, and prints the outcome of each. */
const folder = process.argv[2] ?? ''
const to = join(folder, 'restored')
mkdirSync(to)
const archive = await openArchive({
  root: join(folder, 'archive'),
  keepMs: 86_400_000,
  deletions: 'mirror',
  reserveBytes: 0,
  clock: systemClock,
  signal: new AbortController().signal,
})
const area = await archive.area('laptop')
await push(area, new SourceTree()
  .mkdir('sealed', 0o555).write('sealed/a', 'a', 0o444).mkdir('sealed/deep', 0o500).write('sealed/deep/b', 'b'))
const outcomes = []
for (const overwrite of [false, true, true]) {
  const { files, failures } = await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to, overwrite })
  outcomes.push({ files, failures })
}
await archive.close()
process.stdout.write(JSON.stringify(outcomes))
