import { Command, CommanderError } from 'commander'
import { printable } from '../printable.ts'
import { checkCommandName } from './command-name.ts'
import { ensureNode } from './node-version.ts'
import { reportError } from './report-error.ts'
import { applySources, withSubcommands } from './setting-sources.ts'
import { settingsFileName } from './state-dir.ts'
import type { Terminal } from './terminal.ts'

interface ProgramInit {
  /** Such as `filesync-client`; the default configuration file is named after it. */
  readonly name: string
  readonly version: string
  readonly description: string
  /** Whether the default command takes a path: a first word that is not a command must then be an existing path. */
  readonly takesPath?: boolean
}

/** Exit code for an invalid command line. */
const USAGE_EXIT = 2

class Program extends Command {
  readonly takesPath: boolean

  constructor ({ name, takesPath = false }: ProgramInit) {
    super(name)
    this.takesPath = takesPath
  }
}

/** A command line, to which the caller adds its commands. Each is given its settings from flags, environment and file. */
export function createProgram (init: ProgramInit): Command {
  return new Program(init)
    .description(init.description)
    .version(init.version)
    .exitOverride()
    .showHelpAfterError('(run with --help for usage)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', `
Every option can be given as a flag, as FILESYNC_<OPTION> in the environment, or as a line of the file named by
--config; the first of these takes precedence. Without --config, ${settingsFileName(init.name)} is read if it exists.`)
}

/** Runs a program to its end and returns its exit code. Errors are printed on stderr as one message, without a stack. */
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
  // The packages' timers do not keep the process alive, so that a forgotten one cannot; the running command does.
  const running = setInterval(() => { /* its existence is what matters */ }, 1 << 30)
  const faults = watchFaults(program.name(), terminal)
  try {
    checkCommandName(program, argv, { takesPath: program instanceof Program && program.takesPath, env: terminal.env })
    await program.parseAsync(argv, { from: 'user' })
    if (faults.outputError !== undefined) throw faults.outputError
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT
    return reportError(program.name(), error, terminal)
  } finally {
    clearInterval(running)
    faults.stop()
  }
}

interface FaultWatch {
  /** Why output could not be written, if so. */
  readonly outputError: Error | undefined
  stop (): void
}

/** Faults that no call reports: failed output, and uncaught exceptions. */
function watchFaults (name: string, terminal: Terminal): FaultWatch {
  let outputError: Error | undefined
  // A reader that has ended (`| head -1`) does not stop a sync; a full disk under `> FILE` is an error.
  const onOutputError = (error: NodeJS.ErrnoException): void => { if (error.code !== 'EPIPE') outputError ??= error }
  const onFault = (error: unknown): void => { process.exit(reportError(name, error, terminal)) }
  terminal.stdout.on('error', onOutputError)
  terminal.stderr.on('error', onOutputError)
  process.on('uncaughtException', onFault)
  return {
    get outputError () { return outputError },
    // The listeners on the output stay: the last write may fail later.
    stop: () => { process.off('uncaughtException', onFault) },
  }
}

function printableLines (text: string): string {
  return text.split('\n').map(printable).join('\n')
}
