import { asFileSyncError, ERRORS, isFileSyncError } from '@filesync/protocol'
import { Command, CommanderError } from 'commander'
import { printable } from '../printable.ts'
import { ensureNode } from './node-version.ts'
import { applySources, withSubcommands } from './setting-sources.ts'
import { settingsFileName } from './state-dir.ts'

/** What a program talks to. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface ProgramInit {
  /** Such as `filesync-client`; the configuration file that is read by itself is named after it. */
  readonly name: string
  readonly version: string
  readonly description: string
}

/** Exit code of a wrong command line. */
const USAGE_EXIT = 2

/** A command line whose every command takes the settings that all commands share. */
export function createProgram (init: ProgramInit): Command {
  return new Command(init.name)
    .description(init.description)
    .version(init.version)
    .exitOverride()
    .showHelpAfterError('(--help shows how it is used)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', `\nEvery option of a command can be given as a flag, as FILESYNC_<OPTION> in the environment, or as a line of the file that
--config names, in this order. Without --config, ${settingsFileName(init.name)} is read if it exists.`)
}

/** Runs a program to its end and returns its exit code. Errors are told on stderr in one message, without a stack. */
export async function runProgram (program: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  program.hook('preAction', async (_program, action) => {
    ensureNode(process.versions.node)
    await applySources(action, terminal.env)
  })
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: text => { terminal.stdout.write(text) },
      writeErr: text => { terminal.stderr.write(printableLines(text)) },
    })
  }
  // Timers of the packages do not hold the process, so that a forgotten one never does; the command that runs does.
  const running = setInterval(() => { /* only its being there matters */ }, 1 << 30)
  const watched = watchFaults(program.name(), terminal)
  try {
    await program.parseAsync(argv, { from: 'user' })
    if (watched.outputError !== undefined) throw watched.outputError
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT
    return reportError(program.name(), error, terminal)
  } finally {
    clearInterval(running)
    watched.stop()
  }
}

interface Watched {
  /** Why not all that was printed has arrived. */
  readonly outputError: Error | undefined
  stop (): void
}

/** Faults that no call returns: output that nobody takes, and what escapes every promise. */
function watchFaults (name: string, terminal: Terminal): Watched {
  let outputError: Error | undefined
  // A reader that has seen enough (`| head -1`) is no reason to stop a sync; a full disk behind `> FILE` is told.
  const onOutputError = (error: NodeJS.ErrnoException): void => { if (error.code !== 'EPIPE') outputError ??= error }
  const onFault = (error: unknown): void => { process.exit(reportError(name, error, terminal)) }
  terminal.stdout.on('error', onOutputError)
  terminal.stderr.on('error', onOutputError)
  process.on('uncaughtException', onFault)
  return {
    get outputError () { return outputError },
    // The listeners of the output stay: what was printed last may fail later.
    stop: () => { process.off('uncaughtException', onFault) },
  }
}

function reportError (name: string, error: unknown, terminal: Terminal): number {
  const known = asFileSyncError(error)
  const isDebugging = terminal.env['FILESYNC_DEBUG'] !== undefined
  terminal.stderr.write(`${name}: ${printable(known.message)}\n`)
  // A fault in the program is the one case where the person needs to hand something on to us.
  if (!isFileSyncError(error) && !isSystemError(error) && !isDebugging) {
    terminal.stderr.write(`${name}: this is a fault in FileSync. Run it again with FILESYNC_DEBUG=1 to see where, and report it.\n`)
  }
  if (isDebugging && error instanceof Error) terminal.stderr.write(`${printableLines(error.stack ?? '')}\n`)
  return ERRORS[known.code].exitCode
}

/** Whether the system refused something, such as a directory that may not be written: nothing for us to mend. */
function isSystemError (error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

function printableLines (text: string): string {
  return text.split('\n').map(printable).join('\n')
}
