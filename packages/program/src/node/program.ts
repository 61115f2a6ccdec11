import { Command, CommanderError } from 'commander'
import { printable } from '../printable.ts'
import { checkCommandName } from './command-name.ts'
import { variablePrefix } from './program-name.ts'
import type { ProgramName } from './program-name.ts'
import { ensureNode } from './node-version.ts'
import { reportError } from './report-error.ts'
import { applySources, withSubcommands } from './setting-sources.ts'
import { settingsFileName } from './state-dir.ts'
import type { Terminal } from './terminal.ts'

export interface ProgramInit extends ProgramName {
  /** Printed by `--version`; without it there is no such option. */
  readonly version?: string | undefined
  /** One sentence for `--help`. */
  readonly description?: string | undefined
  /** Whether the default command takes a path: a first word that is not a command must then be an existing path. */
  readonly takesPath?: boolean | undefined
}

/** Exit code for an invalid command line. */
const USAGE_EXIT = 2

class Program extends Command {
  readonly takesPath: boolean
  readonly family: string | undefined

  constructor ({ name, family, takesPath = false }: ProgramInit) {
    super(name)
    this.takesPath = takesPath
    this.family = family
  }
}

/**
 * A command line, to which the caller adds its commands. Each is given its settings from flags, environment and file, whose names
 * follow from that of the program. Throws TypeError.
 */
export function createProgram (init: ProgramInit): Command {
  for (const [key, name] of [['name', init.name], ['family', init.family ?? init.name]]) {
    if (typeof name === 'string' && /^[A-Za-z][\w.-]*$/u.test(name)) continue
    throw new TypeError(`createProgram: ${key} must start with a letter and consist of letters, digits, "-", "_" and ".", but is ${name}.`)
  }
  const program = new Program(init).description(init.description ?? '')
  if (init.version !== undefined) program.version(init.version)
  return program
    .exitOverride()
    .showHelpAfterError('(run with --help for usage)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', `
Every option can be given as a flag, as ${variablePrefix(init)}_<OPTION> in the environment, or as a line of the file named by
--config; the first of these takes precedence. Without --config, ${settingsFileName(init)} is read if it exists.`)
}

/** Runs a program to its end and returns its exit code. Errors are printed on stderr as one message, without a stack. */
export async function runProgram (program: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  const name: ProgramName = { name: program.name(), family: program instanceof Program ? program.family : undefined }
  program.hook('preAction', async (_program, action) => {
    ensureNode(process.versions.node)
    await applySources(action, name, terminal.env)
  })
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: text => { terminal.stdout.write(text) },
      writeErr: text => { terminal.stderr.write(printableLines(text)) },
    })
  }
  // The packages' timers do not keep the process alive, so that a forgotten one cannot; the running command does.
  const running = setInterval(() => { /* its existence is what matters */ }, 1 << 30)
  const faults = watchFaults(name, terminal)
  try {
    checkCommandName(program, argv, { takesPath: program instanceof Program && program.takesPath, env: terminal.env })
    await program.parseAsync(argv, { from: 'user' })
    if (faults.outputError !== undefined) throw faults.outputError
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT
    return reportError(name, error, terminal)
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
function watchFaults (name: ProgramName, terminal: Terminal): FaultWatch {
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
