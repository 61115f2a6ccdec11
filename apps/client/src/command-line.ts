import { parseListenAddress } from '@filesync/program'
import { createProgram, pathArgument, pathSetting, setting } from '@filesync/program/node'
import { Option } from 'commander'
import type { Command } from 'commander'
import type { EnrollFlags, PairFlags } from './commands/pair.ts'
import type { CommandContext, StartFlags } from './commands/push.ts'
import type { SafeFlags } from './commands/safe.ts'
import type { StatusFlags } from './commands/status.ts'
import type { TrustFlags } from './commands/trust.ts'
import { withCommonSettings, withId, withLegacy, withPushSettings, withServerName, withServerSettings, withSettle } from './settings.ts'
import type { CommonFlags, PushFlags, ServerFlags } from './settings.ts'
import { VERSION } from './software.ts'

/** The command line of the client: which command takes what, and what it runs. A command is loaded when it is called. */
export function createClientProgram (context: CommandContext): Command {
  const program = createProgram({
    name: 'filesync-client',
    version: VERSION,
    description: 'Pushes a directory to a FileSync server that it finds on the local network.',
    takesPath: true,
  })
  addPushing(program, context)
  addPlan(program, context)
  addPairing(program, context)
  addTrust(program, context)
  addInspection(program, context)
  return program
}

function addPushing (program: Command, context: CommandContext): void {
  withLegacy(withId(withPushSettings(program.command('start', { isDefault: true }).addArgument(pathArgument('[dir]')))))
    .description('push DIR now, whenever it changes, and whenever the server asks, until stopped')
    .addOption(setting('--once', 'end after one push'))
    .addOption(setting('--no-watch', 'push only when the server asks, not when the directory changes'))
    .addOption(setting('--metrics <host:port>', 'show Prometheus metrics there, under /metrics; PORT alone: to this machine only', parseListenAddress))
    .addOption(new Option('--watch', 'push when the directory changes (the default)').default(true))
    .action(async (directory: string | undefined, flags: StartFlags) => {
      const { start } = await import('./commands/push.ts')
      process.exitCode = await start(directory, flags, context)
    })
  withLegacy(withId(withPushSettings(program.command('push').addArgument(pathArgument('[dir]')))))
    .description('push DIR once; the exit code tells whether everything is stored')
    .action(async (directory: string | undefined, flags: PushFlags) => {
      const { push } = await import('./commands/push.ts')
      process.exitCode = await push(directory, flags, context)
    })
}

function addPlan (program: Command, context: CommandContext): void {
  withId(withPushSettings(program.command('plan').addArgument(pathArgument('[dir]')))).description('what a push of DIR would do; changes nothing')
    .action(async (directory: string | undefined, flags: PushFlags) => { await (await import('./commands/plan.ts')).plan(directory, flags, context) })
}

function addPairing (program: Command, context: CommandContext): void {
  withId(withServerSettings(program.command('pair')))
    .description('pair with a server by the code that "filesync-server pair" shows')
    .addOption(setting('--code-stdin', 'read the code from standard input'))
    .action(async (flags: PairFlags) => { await (await import('./commands/pair.ts')).pair(flags, context) })
  withId(withServerSettings(program.command('enroll')))
    .description('pair with a server by a token from "filesync-server token create"')
    .addOption(pathSetting('--token-file <file>', 'the file that holds the token').makeOptionMandatory())
    .action(async (flags: EnrollFlags) => { await (await import('./commands/pair.ts')).enroll(flags, context) })
}

function addTrust (program: Command, { terminal }: CommandContext): void {
  withCommonSettings(program.command('servers')).description('list the servers this client is paired with')
    .action(async (flags: CommonFlags) => { await (await import('./commands/trust.ts')).listServers(flags, terminal) })
  withCommonSettings(program.command('forget <server>')).description('trust a server no more, by its name or full id')
    .action(async (server: string, flags: CommonFlags) => { await (await import('./commands/trust.ts')).forget(server, flags, terminal) })
  withServerSettings(program.command('trust-server <full-id>')).description('trust a server by the id that "filesync-server id" prints there')
    .option('--name <name>', 'what to call it')
    .action(async (id: string, flags: TrustFlags) => { await (await import('./commands/trust.ts')).trustServer(id, flags, terminal) })
  withCommonSettings(program.command('id')).description('print the full id of this client')
    .action(async (flags: CommonFlags) => { await (await import('./commands/trust.ts')).showId(flags, terminal) })
}

function addInspection (program: Command, context: CommandContext): void {
  withCommonSettings(program.command('status')).description('what the running client is doing')
    .addOption(setting('--follow', 'show what happens from now on instead, until stopped'))
    .action(async (flags: StatusFlags) => { await (await import('./commands/status.ts')).showStatus(flags, context) })
  withPushSettings(program.command('why <path>')).description('the state of one path and the reason for it')
    .action(async (path: string, flags: PushFlags) => { await (await import('./commands/inspect.ts')).why(path, flags, context) })
  withServerName(withSettle(withServerSettings(program.command('safe <path...>')))).description('whether the server holds exactly what is here, so that it may be deleted; exit code 0 only if all is safe')
    .addOption(pathSetting('--directory <dir>', 'the directory that is pushed, where no client is running'))
    .addOption(setting('--fresh', 'have the server read its copies again before it answers'))
    .action(async (paths: string[], flags: SafeFlags) => { process.exitCode = await (await import('./commands/safe.ts')).safe(paths, flags, context) })
  withServerSettings(program.command('doctor')).description('what keeps this client from its server, with the fix')
    .action(async (flags: ServerFlags) => { process.exitCode = await (await import('./commands/doctor.ts')).doctor(flags, context) })
}
