import { existsSync } from 'node:fs'
import { FileSyncError } from '@filesync/protocol'
import type { Command } from 'commander'
import { nearestName } from '../nearest-name.ts'
import { userPath } from './user-path.ts'
import type { Environment } from './user-path.ts'

/**
 * Refuses a first word that is no command, before the command that runs without a name takes it for something else. Throws
 * USAGE with the nearest command.
 *
 * @param takesPath whether the command that runs without a name takes a path, so that an existing one may stand there
 */
export function checkCommandName (program: Command, first: string | undefined, { takesPath, env }: { readonly takesPath: boolean, readonly env: Environment }): void {
  if (first === undefined || first === '' || first.startsWith('-') || program.commands.length === 0) return
  const names = ['help', ...program.commands.flatMap(command => [command.name(), ...command.aliases()])]
  if (names.includes(first) || (takesPath && existsSync(userPath(first, env)))) return
  const nearest = nearestName(first, names)
  const what = takesPath ? `There is no command "${first}", and nothing of that name to push.` : `There is no command "${first}".`
  throw new FileSyncError('USAGE', `${what} ${nearest === undefined ? '' : `Did you mean "${nearest}"? `}"${program.name()} --help" lists the commands.`)
}
