import { dirname } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { Command } from 'commander'
import { loadSettingsFile, loadSettingsFileIfAny } from './settings-file.ts'
import type { FileSettings } from './settings-text.ts'
import { variableOf } from './program-name.ts'
import type { ProgramName } from './program-name.ts'
import { parseBoolean, PathArgument, Setting } from './setting.ts'
import { defaultSettingsFile } from './state-dir.ts'
import { namedPath, userPath } from './user-path.ts'
import type { Environment } from './user-path.ts'

/** A setting found by a name; `--no-discovery` is also found by `discovery`, with the opposite meaning. */
interface Named {
  readonly setting: Setting
  readonly isOpposite: boolean
}

/**
 * Fills in what the flags did not give: from the environment, then from the configuration file. Every path becomes absolute,
 * relative to the user's working directory or to the directory of the file that contains it. Throws USAGE.
 */
export async function applySources (command: Command, program: ProgramName, env: Environment): Promise<void> {
  resolveGivenPaths(command, env)
  applyEnvironment(command, program, env)
  const named = command.opts<{ config?: string }>().config
  const file = named ?? defaultSettingsFile(program, env)
  const settings = file === undefined ? undefined : named === undefined ? await loadSettingsFileIfAny(file) : await loadSettingsFile(file)
  if (file !== undefined && settings !== undefined) applyFile(command, settings, { file, env })
  for (const setting of settingsOf(command)) {
    if (!setting.isNeeded || command.getOptionValue(setting.attributeName()) !== undefined) continue
    const variable = variableOf(program, setting.name())
    throw new FileSyncError('USAGE', `A required setting is missing: give ${setting.flags}, or set ${variable} in the environment.`)
  }
}

function resolveGivenPaths (command: Command, env: Environment): void {
  for (const setting of settingsOf(command)) {
    const attribute = setting.attributeName()
    const value: unknown = command.getOptionValue(attribute)
    if (!setting.isPath || value === undefined) continue
    command.setOptionValueWithSource(attribute, absolute(value, setting, { env }), command.getOptionValueSource(attribute))
  }
  for (const [at, argument] of command.registeredArguments.entries()) {
    const value: unknown = command.processedArgs[at]
    if (argument instanceof PathArgument) command.processedArgs[at] = absolute(value, argument, { env })
  }
}

/** The absolute form of a path or of a list of paths. The command refuses an empty one: it must not become the working directory here. */
function absolute (value: unknown, { mayBeNamed }: { readonly mayBeNamed: boolean }, { env, base }: Omit<Source, 'source'>): unknown {
  const from = { env, ...(base !== undefined && { base }) }
  if (Array.isArray(value)) return value.map((each: unknown) => absolute(each, { mayBeNamed }, from))
  if (typeof value !== 'string' || value === '') return value
  return mayBeNamed ? namedPath(value, env, base) : userPath(value, env, base)
}

function applyEnvironment (command: Command, program: ProgramName, env: Environment): void {
  const fill = filler(command, { source: 'env', env })
  for (const setting of settingsOf(command)) {
    const names = setting.negate ? [setting.name(), positiveName(setting)] : [setting.name()]
    for (const name of names) {
      const variable = variableOf(program, name)
      const text = env[variable]
      // Unit files and containers pass on variables with an empty value.
      if (text === undefined || (text === '' && setting.takesValue)) continue
      fill({ setting, isOpposite: name !== setting.name() }, [text], `the environment variable ${variable}`)
    }
  }
}

/** Unknown names are refused: a typing error must not go unnoticed. */
function applyFile (command: Command, settings: FileSettings, { file, env }: { readonly file: string, readonly env: Environment }): void {
  const fill = filler(command, { source: 'config', env, base: dirname(file) })
  for (const [name, texts] of settings) {
    const found = name === 'config' ? undefined : find(command, name)
    if (found !== undefined) fill(found, texts, `"${name}" in the configuration file ${file}`)
    // All commands of a program share one file, and not every command takes every setting.
    else if (name === 'config' || !withSubcommands(rootOf(command)).some(other => find(other, name) !== undefined)) {
      throw new FileSyncError('USAGE', `The configuration file ${file} has the unknown setting "${name}". See --help for the names.`)
    }
  }
}

interface Source {
  readonly source: 'env' | 'config'
  readonly env: Environment
  /** What relative paths start from; by default the user's working directory. */
  readonly base?: string
}

/** Sets values from one source. `where` names the place of the texts in errors. */
function filler (command: Command, from: Source): (named: Named, texts: readonly string[], where: string) => void {
  const seen = new Map<string, string>()
  return ({ setting, isOpposite }, texts, where) => {
    const attribute = setting.attributeName()
    const earlier = seen.get(attribute)
    if (earlier !== undefined) throw new FileSyncError('USAGE', `Give only one of ${earlier} and ${where}; both set the same option.`)
    seen.set(attribute, where)
    // Parsed even if a flag takes precedence, so that an error shows now and not once the flag is left out.
    const value = convert(setting, texts, { ...from, where })
    const stronger = command.getOptionValueSource(attribute)
    if (stronger !== undefined && stronger !== 'default') return
    command.setOptionValueWithSource(attribute, typeof value === 'boolean' ? value !== (setting.negate !== isOpposite) : value, from.source)
  }
}

function convert (setting: Setting, texts: readonly string[], { where, env, base }: Source & { readonly where: string }): unknown {
  try {
    if (texts.length > 1 && !setting.isList) throw new Error('it has several values but takes only one.')
    const [text = ''] = texts
    if (!setting.takesValue) return parseBoolean(text)
    let value: unknown
    for (const each of texts) value = setting.parseArg === undefined ? each : setting.parseArg(each, value)
    return setting.isPath ? absolute(value, setting, { env, ...(base !== undefined && { base }) }) : value
  } catch (cause) {
    throw new FileSyncError('USAGE', `Invalid value of ${where}: ${(cause as Error).message}`, { cause })
  }
}

function find (command: Command, name: string): Named | undefined {
  const settings = settingsOf(command)
  const setting = settings.find(candidate => candidate.name() === name)
  if (setting !== undefined) return { setting, isOpposite: false }
  const opposite = settings.find(candidate => candidate.negate && positiveName(candidate) === name)
  return opposite === undefined ? undefined : { setting: opposite, isOpposite: true }
}

function positiveName (setting: Setting): string {
  return setting.name().replace(/^no-/u, '')
}

function settingsOf (command: Command): Setting[] {
  return command.options.filter(option => option instanceof Setting)
}

function rootOf (command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent)
}

/** A command and all its subcommands. */
export function withSubcommands (command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}
