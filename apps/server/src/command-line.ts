import { parseDuration } from '@filesync/program'
import { createProgram, pathArgument, pathSetting, setting } from '@filesync/program/node'
import type { Command } from 'commander'
import type { PairFlags, TokenFlags } from './commands/admit.ts'
import type { ArchiveFlags, RestoreFlags } from './commands/archive.ts'
import type { DoctorFlags } from './commands/doctor.ts'
import type { CommandContext } from './commands/start.ts'
import type { StatusFlags } from './commands/status.ts'
import { parseInteger, withCommonSettings, withNetworkSettings, withStartSettings } from './settings.ts'
import type { CommonFlags, StartFlags } from './settings.ts'
import { VERSION } from './software.ts'

const MAX_USES = 100_000

/** The command line of the server: which command takes what, and what it runs. A command is loaded when it is called. */
export function createServerProgram (context: CommandContext): Command {
  const program = createProgram({
    name: 'filesync-server',
    version: VERSION,
    description: 'Keeps the archive that FileSync clients on the local network push their files to.',
  })
  withStartSettings(program.command('start', { isDefault: true })).description('serve until stopped')
    .action(async (flags: StartFlags) => { await (await import('./commands/start.ts')).start(flags, context) })
  withCommonSettings(program.command('status')).description('sessions, queue, clients and disk of the running server')
    .addOption(setting('--follow', 'show what happens from now on instead, until stopped'))
    .action(async (flags: StatusFlags) => { await (await import('./commands/status.ts')).showStatus(flags, context) })
  withNetworkSettings(withCommonSettings(program.command('doctor'))).description('what keeps clients from finding this server, with the fix')
    .action(async (flags: DoctorFlags) => { process.exitCode = await (await import('./commands/doctor.ts')).doctor(flags, context) })
  withCommonSettings(program.command('id')).description('print the full id of this server')
    .action(async (flags: CommonFlags) => { await (await import('./commands/admit.ts')).showId(flags, context) })
  addAdmission(program, context)
  addArchive(program, context)
  addTokens(program.command('token').description('make, list and revoke enrolment tokens'), context)
  return program
}

function addAdmission (program: Command, context: CommandContext): void {
  withCommonSettings(program.command('pair')).description('show a one-time code for one client')
    .addOption(setting('--ttl <duration>', 'how long the code works', parseDuration).default(parseDuration('10m'), '10m'))
    .action(async (flags: PairFlags) => { await (await import('./commands/admit.ts')).pair(flags, context) })
  withCommonSettings(program.command('peers')).description('list the clients')
    .action(async (flags: CommonFlags) => { await (await import('./commands/admit.ts')).listPeers(flags, context) })
  withCommonSettings(program.command('revoke <client>')).description('trust a client no more, by its name or full id')
    .action(async (client: string, flags: CommonFlags) => { await (await import('./commands/admit.ts')).revoke(client, flags, context) })
  withCommonSettings(program.command('trust <full-id>')).description('trust a client by the id that "filesync-client id" prints there')
    .requiredOption('--name <name>', 'what to call it; the name of its folder in the archive')
    .action(async (id: string, flags: CommonFlags & { name: string }) => { await (await import('./commands/admit.ts')).trust(id, flags, context) })
}

function addTokens (token: Command, context: CommandContext): void {
  withCommonSettings(token.command('create')).description('print a token that lets clients pair without a code')
    .addOption(setting('--uses <n>', 'how many clients it admits', text => parseInteger(text, [1, MAX_USES])).default(1))
    .addOption(setting('--expires <duration>', 'how long it works', parseDuration).default(parseDuration('24h'), '24h'))
    .action(async (flags: TokenFlags) => { await (await import('./commands/admit.ts')).createToken(flags, context) })
  withCommonSettings(token.command('list')).description('list the tokens and how often each was used')
    .action(async (flags: CommonFlags) => { await (await import('./commands/admit.ts')).listTokens(flags, context) })
  withCommonSettings(token.command('revoke <id>')).description('make a token worthless')
    .action(async (id: string, flags: CommonFlags) => { await (await import('./commands/admit.ts')).revokeToken(id, flags, context) })
}

function addArchive (program: Command, context: CommandContext): void {
  const withArchive = (command: Command): Command => withCommonSettings(command)
    .addOption(pathSetting('--archive <dir>', 'the archive, where no server runs that holds it'))
    .addOption(setting('--allow-network-disk', 'the archive may be on a network file system, as for "start"'))
  withArchive(program.command('versions <client> [path]')).description('list the earlier versions of a path and of what lies below it')
    .action(async (client: string, path: string | undefined, flags: ArchiveFlags) => { await (await import('./commands/archive.ts')).versions([client, path], flags, context) })
  withArchive(program.command('restore <client> [path]')).description('write what a path was at a moment to a directory')
    .requiredOption('--at <time>', 'the moment: 2026-11-22T10:30:00Z, "2026-11-22 10:30" in local time, or 2h for two hours ago; a time that was printed is taken as it is')
    .addOption(pathSetting('--to <dir>', 'where to write it; outside the archive').makeOptionMandatory())
    .option('--overwrite', 'replace what stands there; otherwise it stays, and is listed')
    .action(async (client: string, path: string | undefined, flags: RestoreFlags) => { process.exitCode = await (await import('./commands/archive.ts')).restore([client, path], flags, context) })
  withArchive(program.command('verify [client]')).description('read the archive again and compare it with its digests')
    .action(async (client: string | undefined, flags: ArchiveFlags) => { process.exitCode = await (await import('./commands/archive.ts')).verify(client, flags, context) })
  withArchive(program.command('adopt <client>').addArgument(pathArgument('<dir>'))).description('take over an existing copy of a client\'s directory, so that the client need not send it')
    .action(async (client: string, directory: string, flags: ArchiveFlags) => { process.exitCode = await (await import('./commands/adopt.ts')).adopt([client, directory], flags, context) })
  withArchive(program.command('release <client>')).description('let the next sync of a client pass the mass-change brake')
    .action(async (client: string, flags: ArchiveFlags) => { await (await import('./commands/archive.ts')).release(client, flags, context) })
}
