import { createProgram, setting } from '@filesync/program/node'
import { Option } from 'commander'
import type { Command } from 'commander'
import { doctor } from './commands/doctor.ts'
import { showStatus, why } from './commands/inspect.ts'
import { enroll, pair } from './commands/pair.ts'
import type { EnrollFlags, PairFlags } from './commands/pair.ts'
import { push, start } from './commands/push.ts'
import type { CommandContext, StartFlags } from './commands/push.ts'
import { forget, listServers, showId, trustServer } from './commands/trust.ts'
import type { TrustFlags } from './commands/trust.ts'
import { withCommonSettings, withId, withLegacy, withPushSettings, withServerSettings } from './settings.ts'
import type { CommonFlags, PushFlags, ServerFlags } from './settings.ts'
import { VERSION } from './software.ts'

/** The command line of the client: which command takes what, and what it runs. */
export function createClientProgram (context: CommandContext): Command {
  const program = createProgram({
    name: 'filesync-client',
    version: VERSION,
    description: 'Pushes a directory to a FileSync server that it finds on the local network.',
  })
  addPushing(program, context)
  addPairing(program, context)
  addTrust(program, context)
  addInspection(program, context)
  return program
}

function addPushing (program: Command, context: CommandContext): void {
  withLegacy(withId(withPushSettings(program.command('start [dir]', { isDefault: true }))))
    .description('push DIR now, whenever it changes, and whenever the server asks, until stopped')
    .addOption(setting('--once', 'end after one push'))
    .addOption(setting('--no-watch', 'push only when the server asks, not when the directory changes'))
    .addOption(new Option('--watch', 'push when the directory changes (the default)').default(true))
    .action(async (directory: string | undefined, flags: StartFlags) => { process.exitCode = await start(directory, flags, context) })
  withLegacy(withId(withPushSettings(program.command('push [dir]'))))
    .description('push DIR once; the exit code tells whether everything is stored')
    .action(async (directory: string | undefined, flags: PushFlags) => { process.exitCode = await push(directory, flags, context) })
}

function addPairing (program: Command, context: CommandContext): void {
  withId(withServerSettings(program.command('pair')))
    .description('pair with a server by the code that "filesync-server pair" shows')
    .addOption(setting('--code-stdin', 'read the code from standard input'))
    .action(async (flags: PairFlags) => { await pair(flags, context) })
  withId(withServerSettings(program.command('enroll')))
    .description('pair with a server by a token from "filesync-server token create"')
    .addOption(setting('--token-file <file>', 'the file that holds the token').makeOptionMandatory())
    .action(async (flags: EnrollFlags) => { await enroll(flags, context) })
}

function addTrust (program: Command, { terminal }: CommandContext): void {
  withCommonSettings(program.command('servers')).description('list the servers this client is paired with')
    .action(async (flags: CommonFlags) => { await listServers(flags, terminal) })
  withCommonSettings(program.command('forget <server>')).description('trust a server no more, by its name or full id')
    .action(async (server: string, flags: CommonFlags) => { await forget(server, flags, terminal) })
  withServerSettings(program.command('trust-server <full-id>')).description('trust a server by the id that "filesync-server id" prints there')
    .option('--name <name>', 'what to call it')
    .action(async (id: string, flags: TrustFlags) => { await trustServer(id, flags, terminal) })
  withCommonSettings(program.command('id')).description('print the full id of this client')
    .action(async (flags: CommonFlags) => { await showId(flags, terminal) })
}

function addInspection (program: Command, context: CommandContext): void {
  withCommonSettings(program.command('status')).description('what the running client is doing')
    .action(async (flags: CommonFlags) => { await showStatus(flags, context) })
  withPushSettings(program.command('why <path>')).description('the state of one path and the reason for it')
    .action(async (path: string, flags: PushFlags) => { await why(path, flags, context) })
  withServerSettings(program.command('doctor')).description('what keeps this client from its server, with the fix')
    .action(async (flags: ServerFlags) => { process.exitCode = await doctor(flags, context) })
}
