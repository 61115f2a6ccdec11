import { existsSync } from 'node:fs'
import { FileSyncError } from '@filesync/protocol'
import type { Command } from 'commander'
import { nearestName } from '../nearest-name.ts'
import { userPath } from './user-path.ts'
import type { Environment } from './user-path.ts'

export interface BareWord {
  /** Whether the command that runs without a name takes a path, so that an existing one may stand there. */
  readonly takesPath: boolean
  readonly env: Environment
}

/**
 * Refuses a first word that is no command, before the command that runs without a name takes it for something else. Throws
 * USAGE with the nearest command.
 */
export function checkCommandName (program: Command, first: string | undefined, { takesPath, env }: BareWord): void {
  if (first === undefined || first === '' || first.startsWith('-') || program.commands.length === 0) return
  const names = ['help', ...program.commands.flatMap(command => [command.name(), ...command.aliases()])]
  if (names.includes(first) || (takesPath && existsSync(userPath(first, env)))) return
  const nearest = nearestName(first, names)
  const what = takesPath ? `There is no command "${first}", and nothing of that name to push.` : `There is no command "${first}".`
  const hint = nearest === undefined ? '' : `Did you mean "${nearest}"? `
  throw new FileSyncError('USAGE', `${what} ${hint}"${program.name()} --help" lists the commands.`)
}
