import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'
import { chaosLarge } from './chaos-large.ts'
import { chaosOfMany } from './chaos-many.ts'
import { chaosPower } from './chaos-power.ts'
import { chaosRestore } from './chaos-restore.ts'
import { chaosOfSource } from './chaos-source.ts'
import { whyNoMachines } from './network-wire.ts'
import { DISK_KINDS, whyNoPowerCut } from './power-disk.ts'

const USAGE = `usage: pnpm chaos [--kills N] [--files N] [--clients N] [--at-once N] [--seconds N] [--large-kills N] [--large-mib N]
  [--cuts N] [--cut-seconds N] [--disk NAME] [--source-rounds N] [--source-changes N] [--restore-cuts N] [--seed N]

Kills clients and servers at random moments while a changing tree is pushed, and checks the archive after each of --kills.
Then the same --large-kills times in the transfer of a file of --large-mib, and counts what is sent again. Then --clients, each on
a machine of its own and --at-once at the same time, do the same to one server for --seconds. Then the power of the archive's disk
is cut --cuts times, at most for --cut-seconds, and what a server finds afterwards is compared with what was said to be stored: on
images with ext4, XFS and btrfs, and on FUSE; with --disk, only on those whose name contains NAME. This needs root and loop
devices. At last files and directories of equal sizes and times are exchanged, rotated and rewritten during --source-rounds pushes, and
--source-changes times under start, and the archive is compared with them byte for byte. Then restores of a client are cut at
--restore-cuts random places, continued until they are done, and compared with the tree of their point. Sizes can also be given as
FILESYNC_CHAOS_KILLS, _FILES, _LARGE_KILLS, _LARGE_MIB, _CLIENTS, _AT_ONCE, _SECONDS, _CUTS, _CUT_SECONDS, _SOURCE_ROUNDS,
_SOURCE_CHANGES and _RESTORE_CUTS.
`

const of = (name: string, otherwise: string): { readonly type: 'string', readonly default: string } => ({
  type: 'string',
  default: process.env[`FILESYNC_CHAOS_${name}`] ?? otherwise,
})
const { values } = parseArgs({
  options: {
    kills: of('KILLS', '200'),
    files: of('FILES', '400'),
    clients: of('CLIENTS', '50'),
    'at-once': of('AT_ONCE', '12'),
    seconds: of('SECONDS', '120'),
    'large-kills': of('LARGE_KILLS', '200'),
    'large-mib': of('LARGE_MIB', '1024'),
    cuts: of('CUTS', '100'),
    'cut-seconds': of('CUT_SECONDS', '900'),
    disk: of('DISK', ''),
    'source-rounds': of('SOURCE_ROUNDS', '100'),
    'source-changes': of('SOURCE_CHANGES', '5000'),
    'restore-cuts': of('RESTORE_CUTS', '50'),
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
  const report = await chaosLarge({
    seed: Number(values.seed),
    kills: Number(values['large-kills']),
    sizeBytes: mib * 2 ** 20,
    killsPerTransfer: 20,
    onProgress,
  })
  const inMib = (bytes: number): string => (bytes / 2 ** 20).toFixed(2)
  onProgress(
    `${report.transfers} transfers of ${mib} MiB, ${report.clientKills} clients and ${report.serverKills} servers killed; ` +
      `a kill cost ${inMib(report.extraBytesPerKill)} MiB, in the worst transfer ${inMib(report.worstExtraBytesPerKill)} MiB`
  )
}

async function ofSource (): Promise<void> {
  const [rounds, changes] = [Number(values['source-rounds']), Number(values['source-changes'])]
  const report = await chaosOfSource({ seed: Number(values.seed), rounds, changes, onProgress })
  const pushes = `${report.stored} pushes stored all of it, ${report.named} named files`
  onProgress(`${report.changes} changes of the source while it was pushed; ${pushes}; the archive is equal to it whenever that was said`)
}

async function ofRestore (): Promise<void> {
  const { cuts, restores, extraBytesPerCut, wholeBytes } = await chaosRestore({
    seed: Number(values.seed), cuts: Number(values['restore-cuts']), onProgress,
  })
  const inMib = (bytes: number): string => (bytes / 2 ** 20).toFixed(2)
  onProgress(
    `${cuts} cuts of ${restores} restores of ${inMib(wholeBytes)} MiB; a cut cost ${inMib(extraBytesPerCut)} MiB; ` +
      'every restore is equal to the tree of its point'
  )
}

async function ofMany (): Promise<void> {
  const why = whyNoMachines()
  if (why !== undefined) {
    onProgress(`not with many clients: ${why}`)
    return
  }
  const report = await chaosOfMany({
    seed: Number(values.seed),
    clients: Number(values.clients),
    atOnce: Number(values['at-once']),
    seconds: Number(values.seconds),
    files: 40,
    onProgress,
  })
  onProgress(
    `${values.clients} clients, ${report.syncs} whole syncs, ${report.clientKills} clients and ${report.serverKills} servers killed, ` +
      `${report.inVain} pushes in vain; the archive is equal to all trees`
  )
}

/** Cuts on one disk: versions are kept, so one that went on would be full. */
const CUTS_OF_A_DISK = 13

async function ofPower (): Promise<void> {
  const kinds = DISK_KINDS.filter(kind => {
    if (!kind.name.includes(values.disk)) return false
    const why = whyNoPowerCut(kind)
    if (why !== undefined) onProgress(`no power cuts of ${kind.name}: ${why}`)
    return why === undefined
  })
  const untilMs = performance.now() + Number(values['cut-seconds']) * 1000
  let left = kinds.length === 0 ? 0 : Number(values.cuts)
  for (let disks = 0; left > 0 && performance.now() < untilMs; disks++) {
    const kind = kinds[disks % kinds.length]
    if (kind === undefined) return
    const { cuts, tooLate, acknowledged } = await chaosPower({
      seed: Number(values.seed) + disks,
      kind,
      cuts: Math.min(left, CUTS_OF_A_DISK),
      files: 150,
      limitMs: untilMs - performance.now(),
      onProgress,
    })
    left -= cuts
    onProgress(
      `${cuts} power cuts of ${kind.name}, ${tooLate} of them after the push, ` +
        `${acknowledged} files reported as stored before; none of them was lost`
    )
  }
  if (left > 0 && kinds.length > 0)
    onProgress(`${left} power cuts were left when the ${values['cut-seconds']} s of --cut-seconds were over`)
}

process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))
if (values.help) process.stdout.write(USAGE)
else {
  onProgress(`seed ${values.seed}`)
  if (Number(values.kills) > 0) await ofOne()
  if (Number(values['large-kills']) > 0) await ofLarge()
  if (Number(values.clients) > 0) await ofMany()
  if (Number(values.cuts) > 0) await ofPower()
  if (Number(values['source-rounds']) > 0) await ofSource()
  if (Number(values['restore-cuts']) > 0) await ofRestore()
}
