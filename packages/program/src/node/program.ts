import { Command, CommanderError } from 'commander'
import { printable } from '../printable.ts'
import { checkCommandName } from './command-name.ts'
import { ensureNode } from './node-version.ts'
import { reportError } from './report-error.ts'
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
  /** Whether the command that runs without a name takes a path: a word that is no command then has to be an existing one. */
  readonly takesPath?: boolean
}

/** Exit code of a wrong command line. */
const USAGE_EXIT = 2

class Program extends Command {
  readonly takesPath: boolean

  constructor ({ name, takesPath = false }: ProgramInit) {
    super(name)
    this.takesPath = takesPath
  }
}

/** A command line whose every command takes the settings that all commands share. */
export function createProgram (init: ProgramInit): Command {
  return new Program(init)
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
    checkCommandName(program, argv[0], { takesPath: program instanceof Program && program.takesPath, env: terminal.env })
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

function printableLines (text: string): string {
  return text.split('\n').map(printable).join('\n')
}
