import { asFileSyncError, ERRORS, FileSyncError, isFileSyncError } from '@filesync/protocol'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { printable } from '../printable.ts'
import { loadSettingsFile } from './settings-file.ts'

/** What a program talks to. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface ProgramInit {
  readonly name: string
  readonly version: string
  readonly description: string
}

/** Exit code of a wrong command line. */
const USAGE_EXIT = 2

/** A command line whose every command takes the settings that all commands share. */
export function createProgram (init: ProgramInit): Command {
  const program = new Command(init.name)
    .description(init.description)
    .version(init.version)
    .exitOverride()
    .showHelpAfterError('(--help shows how it is used)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', '\nEvery option can be given as FILESYNC_<OPTION> in the environment, or in the file that --config names.')
  return program
}

/**
 * A setting: a flag, the environment variable `FILESYNC_<NAME>`, or a line in the configuration file, in this order.
 *
 * @param parse turns the text into the value; its errors become usage errors
 */
export function setting <T>(flags: string, description: string, parse?: (text: string, previous?: T) => T): Option {
  const option = new Option(flags, description)
  option.env(`FILESYNC_${option.name().toUpperCase().replaceAll('-', '_')}`)
  if (parse !== undefined) {
    option.argParser<T>((text, previous) => {
      try {
        return parse(text, previous)
      } catch (error) {
        throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
      }
    })
  }
  return option
}

/** Runs a program to its end and returns its exit code. Errors are told on stderr in one message, without a stack. */
export async function runProgram (program: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  program.hook('preAction', async (_program, action) => { await applySettingsFile(action) })
  for (const command of [program, ...program.commands.flatMap(withSubcommands)]) {
    command.exitOverride().configureOutput({
      writeOut: text => { terminal.stdout.write(text) },
      writeErr: text => { terminal.stderr.write(text) },
    })
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT
    return reportError(program.name(), error, terminal)
  }
}

function withSubcommands (command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

function reportError (name: string, error: unknown, terminal: Terminal): number {
  const known = asFileSyncError(error)
  terminal.stderr.write(`${name}: ${printable(known.message)}\n`)
  // A fault in the program is the one case where the person needs to hand something on to us.
  if (!isFileSyncError(error) && terminal.env['FILESYNC_DEBUG'] === undefined) {
    terminal.stderr.write(`${name}: this is a fault in FileSync. Run it again with FILESYNC_DEBUG=1 to see where, and report it.\n`)
  }
  if (terminal.env['FILESYNC_DEBUG'] !== undefined && error instanceof Error) terminal.stderr.write(`${printable(error.stack ?? '').replaceAll('\\u{a}', '\n')}\n`)
  return ERRORS[known.code].exitCode
}

/** Fills in what neither flags nor environment gave. Unknown names are refused: a typo must not be silent. */
async function applySettingsFile (command: Command): Promise<void> {
  const file = command.opts<{ config?: string }>().config
  if (file === undefined) return
  for (const [name, value] of await loadSettingsFile(file)) {
    const option = command.options.find(candidate => candidate.name() === name)
    if (option === undefined) {
      if (knownElsewhere(command, name)) continue
      throw new FileSyncError('USAGE', `The configuration file ${file} has the unknown setting "${name}". See --help for the names.`)
    }
    const source = command.getOptionValueSource(option.attributeName())
    if (source !== undefined && source !== 'default') continue
    command.setOptionValueWithSource(option.attributeName(), convert(option, value, file), 'config')
  }
}

// One file serves all commands of a program, and not every command takes every setting.
function knownElsewhere (command: Command, name: string): boolean {
  let root = command
  while (root.parent !== null) root = root.parent
  return withSubcommands(root).some(candidate => candidate.options.some(option => option.name() === name))
}

function convert (option: Option, value: string | readonly string[] | boolean, file: string): unknown {
  const takesValue = option.required || option.optional
  if (typeof value === 'boolean' && !takesValue) return option.negate ? !value : value
  if (!takesValue) throw new FileSyncError('USAGE', `In the configuration file ${file}, "${option.name()}" has to be true or false.`)
  const texts = Array.isArray(value) ? value as readonly string[] : [String(value)]
  try {
    let converted: unknown
    for (const text of texts) converted = option.parseArg === undefined ? text : option.parseArg(text, converted)
    return converted
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('USAGE', `In the configuration file ${file}, "${option.name()}" is wrong: ${why}`, { cause })
  }
}
