import { parseDuration } from '@filesync/program'
import { createProgram, pathArgument, pathSetting, setting } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import type { Command } from 'commander'
import type { ServerPairFlags, TokenFlags } from './commands/admit.ts'
import type { ArchiveFlags, HistoryFlags, RestoreFlags } from './commands/archive.ts'
import type { DoctorFlags } from './commands/doctor.ts'
import type { RemoveFlags } from './commands/peers.ts'
import type { ServerContext } from './commands/start.ts'
import type { ServerStatusFlags } from './commands/status.ts'
import { parseInteger, withCommonSettings, withNetworkSettings, withStartSettings } from './settings.ts'
import type { ServerCommonFlags, ServerStartFlags } from './settings.ts'
import { VERSION } from './software.ts'

const MAX_USES = 100_000

/** The command line of the server: the commands and their flags. The module of a command is loaded when the command is called. */
export function createServerProgram (context: ServerContext): Command {
  const program = createProgram({
    name: 'filesync-server',
    family: 'filesync',
    version: VERSION,
    description: 'Keeps the archive that FileSync clients on the local network push their files to.',
  })
  withStartSettings(program.command('start', { isDefault: true }))
    .description('serve clients until stopped')
    .action(async (flags: ServerStartFlags) => { await (await import('./commands/start.ts')).start(flags, context) })
  withCommonSettings(program.command('status'))
    .description('show sessions, queue, clients and disk of the running server')
    .addOption(setting('--follow', 'show events as they happen, until stopped'))
    .action(async (flags: ServerStatusFlags) => { await (await import('./commands/status.ts')).showStatus(flags, context) })
  withNetworkSettings(withCommonSettings(program.command('doctor')))
    .description('check what keeps clients from finding this server, and how to fix it')
    .action(async (flags: DoctorFlags) => { process.exitCode = await (await import('./commands/doctor.ts')).doctor(flags, context) })
  withCommonSettings(program.command('id'))
    .description('print the full id of this server')
    .action(async (flags: ServerCommonFlags) => { await (await import('./commands/admit.ts')).showId(flags, context) })
  addAdmission(program, context)
  addArchive(program, context)
  addTokens(program.command('token').description('create, list and revoke enrollment tokens'), context)
  return program
}

function addAdmission (program: Command, context: ServerContext): void {
  withCommonSettings(program.command('pair'))
    .description('print a one-time code for one client')
    .option('--for <client>', 'the machine continues the files of this client, whose key is revoked: after it was installed again')
    .addOption(setting('--ttl <duration>', 'how long the code is valid', parseDuration).default(parseDuration('10m'), '10m'))
    .action(async (flags: ServerPairFlags) => { await (await import('./commands/admit.ts')).pair(flags, context) })
  addPeers(program.command('peers').description('list, rename, remove and pause clients, and say when they are late'), context)
  withCommonSettings(program.command('revoke <client>'))
    .description('stop trusting a client, by its name or full id')
    .action(async (client: string, flags: ServerCommonFlags) => {
      await (await import('./commands/admit.ts')).revoke(client, flags, context)
    })
  withCommonSettings(program.command('trust <full-id>'))
    .description('trust a client by the full id that "filesync-client id" prints on that machine')
    .requiredOption('--name <name>', 'name of the client, and of its folder in the archive')
    .action(async (id: string, flags: ServerCommonFlags & { name: string }) => {
      await (await import('./commands/admit.ts')).trust(id, flags, context)
    })
}

function addPeers (peers: Command, context: ServerContext): void {
  const withArchive = (command: Command): Command => withArchiveSettings(withCommonSettings(command))
  // A command of its own: flags of "peers" itself would also take those of the commands below it.
  withCommonSettings(peers.command('list', { isDefault: true }))
    .description('list the clients, and when each was seen, was complete and is expected')
    .action(async (flags: ServerCommonFlags) => { await (await import('./commands/peers.ts')).listPeers(flags, context) })
  withArchive(peers.command('rename <client> <name>'))
    .description('give a client and its folder in the archive another name')
    .action(async (client: string, name: string, flags: ArchiveFlags) => {
      await (await import('./commands/peers.ts')).rename([client, name], flags, context)
    })
  withArchive(peers.command('remove <client>'))
    .description('stop trusting a client, and move its files to versions, from where they leave with their retention')
    .option('--keep-files', 'leave its files where they are')
    .action(async (client: string, flags: RemoveFlags) => { await (await import('./commands/peers.ts')).remove(client, flags, context) })
  withCommonSettings(peers.command('pause <client>'))
    .description('let a client push and restore nothing until it is resumed')
    .action(async (client: string, flags: ServerCommonFlags) => {
      await (await import('./commands/peers.ts')).pause(client, true, { flags, context })
    })
  withCommonSettings(peers.command('resume <client>'))
    .description('let a paused client push and restore again')
    .action(async (client: string, flags: ServerCommonFlags) => {
      await (await import('./commands/peers.ts')).pause(client, false, { flags, context })
    })
  withCommonSettings(peers.command('expect <client> <within>'))
    .description('say when a client is late: a duration after a complete sync such as 14d, "never", or "usual" (24 h beyond its usual gap)')
    .action(async (client: string, within: string, flags: ServerCommonFlags) => {
      await (await import('./commands/peers.ts')).expect([client, within], { flags, context })
    })
}

function withArchiveSettings (command: Command): Command {
  return command
    .addOption(pathSetting('--archive <dir>', 'the archive; needed if no server is running'))
    .addOption(setting('--allow-network-disk', 'allow an archive on a network file system, as for "start"'))
}

function addTokens (token: Command, context: ServerContext): void {
  withCommonSettings(token.command('create'))
    .description('print a token with which clients pair without a code')
    .option('--for <client>', 'the machine continues the files of this client, whose key is revoked; the token has one use')
    .addOption(setting('--uses <n>', 'how many clients it admits', text => parseInteger(text, [1, MAX_USES])).default(1))
    .addOption(setting('--expires <duration>', 'how long it is valid', parseDuration).default(parseDuration('24h'), '24h'))
    .action(async (flags: TokenFlags) => { await (await import('./commands/admit.ts')).createToken(flags, context) })
  withCommonSettings(token.command('list'))
    .description('list the tokens and how often each was used')
    .action(async (flags: ServerCommonFlags) => { await (await import('./commands/admit.ts')).listTokens(flags, context) })
  withCommonSettings(token.command('revoke <id>'))
    .description('invalidate a token')
    .action(async (id: string, flags: ServerCommonFlags) => { await (await import('./commands/admit.ts')).revokeToken(id, flags, context) })
}

const MOMENT_HELP = 'a point (p17), 2h or 3d (ago), "yesterday 14:00", "2026-11-22 10:30" (local time), 2026-11-22T10:30:00Z, or any ' +
  'printed time; the present state by default'

function addArchive (program: Command, context: ServerContext): void {
  const withArchive = (command: Command): Command => withArchiveSettings(withCommonSettings(command))
  withArchive(program.command('history <client> [path]'))
    .description('list the points that can be restored; with a path, those that changed it and its earlier versions')
    .option('--before <point>', 'only points older than this one')
    .addOption(setting('--limit <n>', 'how many points at most', text => parseInteger(text, [1, 1_000_000])).default(100))
    .action(async (client: string, path: string | undefined, flags: HistoryFlags) => {
      await (await import('./commands/archive.ts')).history([client, path], flags, context)
    })
  program.command('versions', { hidden: true }).allowUnknownOption().allowExcessArguments().action(() => {
    throw new FileSyncError('USAGE', '"versions" is part of "history": run "filesync-server history CLIENT PATH".')
  })
  withArchive(program.command('restore <client> [path]'))
    .description('copy a path as it was at a point or a time to a directory')
    .option('--at <moment>', MOMENT_HELP)
    .addOption(pathSetting('--to <dir>', 'target directory, outside the archive; ./restored-<point> by default'))
    .option('--overwrite', 'replace existing files; by default they are kept and listed')
    .action(async (client: string, path: string | undefined, flags: RestoreFlags) => {
      process.exitCode = await (await import('./commands/archive.ts')).restore([client, path], flags, context)
    })
  withArchive(program.command('verify [client]'))
    .description('read the stored files again and compare them with their digests')
    .action(async (client: string | undefined, flags: ArchiveFlags) => {
      process.exitCode = await (await import('./commands/archive.ts')).verify(client, flags, context)
    })
  withArchive(program.command('adopt <client>').addArgument(pathArgument('<dir>')))
    .description('import an existing copy of a folder, so that the client need not send it; CLIENT/FOLDER gives it another name')
    .action(async (client: string, directory: string, flags: ArchiveFlags) => {
      process.exitCode = await (await import('./commands/adopt.ts')).adopt([client, directory], flags, context)
    })
  withArchive(program.command('release <client>'))
    .description('let the next sync of a client pass the mass-change brake')
    .action(async (client: string, flags: ArchiveFlags) => {
      await (await import('./commands/archive.ts')).release(client, flags, context)
    })
}
