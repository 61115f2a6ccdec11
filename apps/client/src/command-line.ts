import { parseListenAddress } from '@filesync/program'
import { createProgram, namedPathsArgument, pathSetting, setting } from '@filesync/program/node'
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import type { FolderRemovalFlags } from './commands/folders.ts'
import type { EnrollFlags, PairingFlags } from './commands/pair.ts'
import type { CommandContext, ClientStartFlags } from './commands/push.ts'
import type { ClientRestoreFlags, HistoryFlags } from './commands/restore.ts'
import type { SafeFlags } from './commands/safe.ts'
import type { ClientStatusFlags } from './commands/status.ts'
import type { TrustFlags } from './commands/trust.ts'
import { withCommonSettings, withId, withLegacy, withPushSettings, withServerName, withServerSettings, withSettle } from './settings.ts'
import type { ClientFlags, PushFlags, ServerFlags } from './settings.ts'
import { VERSION } from './software.ts'

/** The command line of the client: the options of each command and what it runs. A command is loaded only when it is called. */
export function createClientProgram (context: CommandContext): Command {
  const program = createProgram({
    name: 'filesync-client',
    family: 'filesync',
    version: VERSION,
    description: 'Pushes folders to a FileSync server that it finds on the local network.',
    takesPath: true,
  })
  addPushing(program, context)
  addPlan(program, context)
  addFolders(program, context)
  addPairing(program, context)
  addHistory(program, context)
  addTrust(program, context)
  addInspection(program, context)
  return program
}

const METRICS_HELP = 'serve Prometheus metrics at http://HOST:PORT/metrics; PORT alone: to this machine only'

function addPushing (program: Command, context: CommandContext): void {
  withLegacy(withId(withPushSettings(program.command('start', { isDefault: true }).addArgument(namedPathsArgument('[folder...]')))))
    .description('push folders now, whenever they change, and whenever the server asks, until stopped')
    .addHelpText('after', FOLDER_HELP)
    .addOption(setting('--once', 'exit after one push'))
    .addOption(setting('--no-watch', 'push only when the server asks, not when a folder changes'))
    .addOption(setting('--metrics <host:port>', METRICS_HELP, parseListenAddress))
    .addOption(new Option('--watch', 'push when a folder changes').default(true, 'on'))
    .action(async (folders: string[], flags: ClientStartFlags) => {
      const { start } = await import('./commands/push.ts')
      process.exitCode = await start(folders, flags, context)
    })
  withLegacy(withId(withPushSettings(program.command('push').addArgument(namedPathsArgument('[folder...]')))))
    .description('push folders once; the exit code says whether everything is stored')
    .addHelpText('after', FOLDER_HELP)
    .action(async (folders: string[], flags: PushFlags) => {
      const { push } = await import('./commands/push.ts')
      process.exitCode = await push(folders, flags, context)
    })
}

function addPlan (program: Command, context: CommandContext): void {
  withId(withPushSettings(program.command('plan').addArgument(namedPathsArgument('[folder...]'))))
    .description('show what a push of folders would do, and change nothing')
    .addHelpText('after', FOLDER_HELP)
    .action(async (folders: string[], flags: PushFlags) => {
      const { plan } = await import('./commands/plan.ts')
      await plan(folders, flags, context)
    })
}

function addFolders (program: Command, context: CommandContext): void {
  const folders = program.command('folders').description('list the folders of this client, or stop pushing one')
  withCommonSettings(folders.command('list', { isDefault: true }))
    .description('list the folders of this client: where they are, how many files they have, and when all of them were last stored')
    .action(async (flags: ClientFlags) => { await (await import('./commands/folders.ts')).listFolders(flags, context) })
  withServerName(withServerSettings(folders.command('remove <name>')))
    .description('stop pushing a folder; its files stay in the archive')
    .addOption(setting('--from-archive', 'also take its files out of the mirror; they are kept as versions'))
    .action(async (name: string, flags: FolderRemovalFlags) => {
      const { removeFolder } = await import('./commands/folders.ts')
      process.exitCode = await removeFolder(name, flags, context)
    })
}

function addPairing (program: Command, context: CommandContext): void {
  withId(withServerSettings(program.command('pair')))
    .description('pair with a server, using the code that "filesync-server pair" shows')
    .addOption(setting('--code-stdin', 'read the code from standard input'))
    .action(async (flags: PairingFlags) => { await (await import('./commands/pair.ts')).pair(flags, context) })
  withId(withServerSettings(program.command('enroll')))
    .description('pair with a server, using a token from "filesync-server token create"')
    .addOption(pathSetting('--token-file <file>', 'the file that holds the token').makeOptionMandatory())
    .action(async (flags: EnrollFlags) => { await (await import('./commands/pair.ts')).enroll(flags, context) })
}

const FOLDER_HELP = `
FOLDER is a directory, stored under its own name, or NAME=DIR. Without folders, those of the setting "folders" are taken, or else
all that were pushed before.`

const PATH_HELP = `
PATH is FOLDER/PATH as it is in the archive, or a path of this machine in a folder that is pushed, absolute or beginning with ./ or ../;
without PATH, or with /, it is everything.`
const MOMENT_HELP = 'a point that "history" lists, such as p17, or a time: 2h, "yesterday 14:00", "2026-11-22 10:30"; default now'
const ROWS = 100

function addHistory (program: Command, context: CommandContext): void {
  withServerName(withServerSettings(program.command('history [path]')))
    .description('list the points that can be restored; with PATH, those that changed it and its earlier versions')
    .addHelpText('after', PATH_HELP)
    .option('--limit <n>', 'how many rows at most', parseRows, ROWS)
    .action(async (path: string | undefined, flags: HistoryFlags) => {
      await (await import('./commands/restore.ts')).history(path, flags, context)
    })
  withServerName(withServerSettings(program.command('restore [path]')))
    .description('bring PATH back as it was; continues if it was interrupted')
    .addHelpText('after', PATH_HELP)
    .option('--at <moment>', MOMENT_HELP)
    .addOption(pathSetting('--to <dir>', 'where to; ./restored-<point> by default. What is there is kept, and listed if it differs'))
    .option('--overwrite', 'replace files that are there and differ')
    .action(async (path: string | undefined, flags: ClientRestoreFlags) => {
      process.exitCode = await (await import('./commands/restore.ts')).restore(path, flags, context)
    })
}

// Not a setting: FILESYNC_LIMIT is the rate limit of pushes.
function parseRows (text: string): number {
  const rows = Number(text)
  if (/^\d+$/u.test(text) && rows >= 1 && rows <= 1_000_000) return rows
  throw new InvalidArgumentError('Give a whole number from 1 to 1000000.')
}

function addTrust (program: Command, { terminal }: CommandContext): void {
  withCommonSettings(program.command('servers'))
    .description('list the servers this client is paired with')
    .action(async (flags: ClientFlags) => { await (await import('./commands/trust.ts')).listServers(flags, terminal) })
  withCommonSettings(program.command('forget <server>'))
    .description('stop trusting a server, given by its name or full id')
    .action(async (server: string, flags: ClientFlags) => { await (await import('./commands/trust.ts')).forget(server, flags, terminal) })
  withServerSettings(program.command('trust-server <full-id>'))
    .description('trust the server with this id, as "filesync-server id" prints it')
    .option('--name <name>', 'the name to show for this server')
    .action(async (id: string, flags: TrustFlags) => { await (await import('./commands/trust.ts')).trustServer(id, flags, terminal) })
  withCommonSettings(program.command('id'))
    .description('print the full id of this client')
    .action(async (flags: ClientFlags) => { await (await import('./commands/trust.ts')).showId(flags, terminal) })
}

function addInspection (program: Command, context: CommandContext): void {
  withCommonSettings(program.command('status'))
    .description('show what the running client is doing')
    .addOption(setting('--follow', 'show events as they happen, until stopped'))
    .action(async (flags: ClientStatusFlags) => { await (await import('./commands/status.ts')).showStatus(flags, context) })
  withPushSettings(program.command('why <path>'))
    .description('show the state of one path and the reason for it')
    .action(async (path: string, flags: PushFlags) => { await (await import('./commands/why.ts')).why(path, flags, context) })
  withServerName(withSettle(withServerSettings(program.command('safe <path...>'))))
    .description('check that the server holds exactly these files, so that they can be deleted here; exit code 0 only if all are safe')
    .addOption(setting('--fresh', 'make the server read its copies again before it answers'))
    .action(async (paths: string[], flags: SafeFlags) => {
      const { safe } = await import('./commands/safe.ts')
      process.exitCode = await safe(paths, flags, context)
    })
  withServerSettings(program.command('doctor'))
    .description('find out why this client cannot reach its server, and how to fix it')
    .action(async (flags: ServerFlags) => { process.exitCode = await (await import('./commands/doctor.ts')).doctor(flags, context) })
}
