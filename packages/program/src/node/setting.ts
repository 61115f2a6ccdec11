import { FileSyncError } from '@filesync/protocol'
import { Argument, InvalidArgumentError, Option } from 'commander'

/**
 * An option that can also come from the environment or the configuration file. What it needs is looked at after all three:
 * commander would look before the file is read.
 */
export class Setting extends Option {
  isNeeded = false
  isList = false
  /** Made absolute once it is known where it comes from; see `userPath`. */
  isPath = false

  override makeOptionMandatory (mandatory = true): this {
    this.isNeeded = mandatory
    return this
  }

  get takesValue (): boolean {
    return this.required || this.optional
  }

  get variable (): string {
    return variableOf(this.name())
  }
}

/** The environment variable of a setting: `FILESYNC_MAX_SESSIONS` for `max-sessions`. */
export function variableOf (name: string): string {
  return `FILESYNC_${name.toUpperCase().replaceAll('-', '_')}`
}

/**
 * A setting: a flag, the environment variable `FILESYNC_<NAME>`, or a line in the configuration file, in this order.
 * Nothing takes an empty value: an unset variable in a script must not make the working directory the archive.
 *
 * @param parse turns the text into the value; its errors become usage errors
 */
export function setting <T = string>(flags: string, description: string, parse?: (text: string) => T): Setting {
  const made = new Setting(flags, description)
  if (made.takesValue) made.argParser<T | string>(text => checked(text, () => parse === undefined ? text : parse(text)))
  return made
}

/** A setting whose value is a path: what the command gets is absolute, see `userPath`. */
export function pathSetting (flags: string, description: string): Setting {
  const made = setting(flags, description)
  made.isPath = true
  return made
}

/** An argument of a command that is a path. */
export class PathArgument extends Argument {}

/** An argument that is a path, such as `[dir]`: what the command gets is absolute, see `userPath`. */
export function pathArgument (name: string): PathArgument {
  return new PathArgument(name)
}

/** A setting with several values: given more than once, with commas between, or as a list in the file. */
export function listSetting (flags: string, description: string): Setting {
  const made = new Setting(flags, description)
  made.isList = true
  return made.argParser<readonly string[]>((text, previous = []) => [
    ...previous,
    ...text.split(',').map(item => checked(item.trim(), () => item.trim())),
  ])
}

function checked <T>(text: string, parse: () => T): T {
  if (text === '') throw new InvalidArgumentError('It is empty.')
  try {
    return parse()
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

/** `true`, `yes`, `on` and `1`, or `false`, `no`, `off`, `0` and nothing at all. Throws USAGE. */
export function parseBoolean (text: string): boolean {
  switch (text.trim().toLowerCase()) {
    case 'true': case 'yes': case 'on': case '1': return true
    case 'false': case 'no': case 'off': case '0': case '': return false
    default: throw new FileSyncError('USAGE', `"${text}" is neither true nor false.`)
  }
}
