import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { Command } from 'commander'
import { nearestName } from '../nearest-name.ts'
import { namedPath } from './user-path.ts'
import type { Environment } from './user-path.ts'

export interface CommandNameRules {
  /** Whether the default command takes a path, so that the first word may be an existing one. */
  readonly takesPath: boolean
  readonly env: Environment
}

/**
 * Refuses a first word that is not a command, before the default command takes it for its argument. Options may precede it;
 * then a command is refused too, because commander would take it for an argument as well. Throws USAGE with what to write.
 */
export function checkCommandName (program: Command, argv: readonly string[], { takesPath, env }: CommandNameRules): void {
  const first = firstWord(program, argv)
  if (first === undefined || first === '' || program.commands.length === 0) return
  const names = ['help', ...program.commands.flatMap(command => [command.name(), ...command.aliases()])]
  const isCommand = names.includes(first)
  if ((isCommand && first === argv[0]) || (takesPath && existsSync(pathOf(namedPath(first, env))))) return
  if (isCommand) {
    throw new FileSyncError('USAGE', `Options must follow the command. Write "${program.name()} ${first}", then the options.`)
  }
  const nearest = nearestName(first, names)
  const what = takesPath ? `There is no command "${first}", and no file or directory of that name.` : `There is no command "${first}".`
  const hint = nearest === undefined ? '' : `Did you mean "${nearest}"? `
  throw new FileSyncError('USAGE', `${what} ${hint}"${program.name()} --help" lists the commands.`)
}

/** The path without the name that may be before it. */
function pathOf (named: string): string {
  return isAbsolute(named) ? named : named.slice(named.indexOf('=') + 1)
}

/** The first argument that is neither an option nor the value of one; undefined if an unknown option or `--` comes first. */
function firstWord (program: Command, argv: readonly string[]): string | undefined {
  // A flag means the same in every command that takes it.
  const options = program.commands.flatMap(command => command.options)
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? ''
    if (!argument.startsWith('-') || argument === '-') return argument
    if (argument.startsWith('--') && argument.includes('=')) continue
    const option = options.find(({ long, short }) => long === argument || short === argument)
    if (option === undefined) return undefined
    if (option.required) at++
  }
  return undefined
}
