import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'

const USAGE = `usage: pnpm chaos [--kills N] [--files N] [--seed N]

Kills clients and servers at random moments while a changing tree is pushed, and checks the archive after each.
`

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    files: { type: 'string', default: '400' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else {
  process.stdout.write(`chaos: seed ${values.seed}\n`)
  const report = await chaos({
    seed: Number(values.seed),
    kills: Number(values.kills),
    files: Number(values.files),
    onProgress: text => { process.stdout.write(`chaos: ${text}\n`) },
  })
  process.stdout.write(`chaos: ${report.kills} kills, ${report.survived} of them too late, ${report.syncs} whole syncs; the archive is equal to the tree\n`)
}
