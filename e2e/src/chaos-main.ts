import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'
import { chaosLarge } from './chaos-large.ts'
import { chaosOfMany } from './chaos-many.ts'
import { whyNoMachines } from './network-wire.ts'

const USAGE = `usage: pnpm chaos [--kills N] [--files N] [--clients N] [--at-once N] [--seconds N] [--large-kills N] [--large-mib N] [--seed N]

Kills clients and servers at random moments while a changing tree is pushed, and checks the archive after each of --kills.
Then the same --large-kills times in the transfer of a file of --large-mib, and counts what is sent again. Then --clients, each on
a machine of its own and --at-once at the same time, do the same to one server for --seconds. Sizes can also be given as
FILESYNC_CHAOS_KILLS, _FILES, _LARGE_KILLS, _LARGE_MIB, _CLIENTS, _AT_ONCE and _SECONDS.
`

const of = (name: string, otherwise: string): { readonly type: 'string', readonly default: string } => ({ type: 'string', default: process.env[`FILESYNC_CHAOS_${name}`] ?? otherwise })
const { values } = parseArgs({
  options: {
    kills: of('KILLS', '200'),
    files: of('FILES', '400'),
    clients: of('CLIENTS', '50'),
    'at-once': of('AT_ONCE', '12'),
    seconds: of('SECONDS', '120'),
    'large-kills': of('LARGE_KILLS', '200'),
    'large-mib': of('LARGE_MIB', '1024'),
    seed: of('SEED', String(Date.now() % 1_000_000)),
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const onProgress = (text: string): void => { process.stdout.write(`chaos: ${text}\n`) }

async function ofOne (): Promise<void> {
  const report = await chaos({ seed: Number(values.seed), kills: Number(values.kills), files: Number(values.files), onProgress })
  onProgress(`${report.kills} kills, ${report.survived} of them too late, ${report.syncs} whole syncs; the archive is equal to the tree`)
}

async function ofLarge (): Promise<void> {
  const mib = Number(values['large-mib'])
  const report = await chaosLarge({ seed: Number(values.seed), kills: Number(values['large-kills']), sizeBytes: mib * 2 ** 20, killsPerTransfer: 20, onProgress })
  const inMib = (bytes: number): string => (bytes / 2 ** 20).toFixed(2)
  onProgress(`${report.transfers} transfers of ${mib} MiB, ${report.clientKills} clients and ${report.serverKills} servers killed; a kill cost ${inMib(report.extraBytesPerKill)} MiB, in the worst transfer ${inMib(report.worstExtraBytesPerKill)} MiB`)
}

async function ofMany (): Promise<void> {
  const why = whyNoMachines()
  if (why !== undefined) {
    onProgress(`not with many clients: ${why}`)
    return
  }
  const report = await chaosOfMany({ seed: Number(values.seed), clients: Number(values.clients), atOnce: Number(values['at-once']), seconds: Number(values.seconds), files: 40, onProgress })
  onProgress(`${values.clients} clients, ${report.syncs} whole syncs, ${report.clientKills} clients and ${report.serverKills} servers killed, ${report.inVain} pushes in vain; the archive is equal to all trees`)
}

if (values.help) process.stdout.write(USAGE)
else {
  onProgress(`seed ${values.seed}`)
  if (Number(values.kills) > 0) await ofOne()
  if (Number(values['large-kills']) > 0) await ofLarge()
  if (Number(values.clients) > 0) await ofMany()
}
