import { FileSyncError } from '@filesync/protocol'
import { Argument, InvalidArgumentError, Option } from 'commander'

/**
 * An option that can also come from the environment or the configuration file. Whether a required value is missing is checked
 * after all three; commander would check before the file is read.
 */
export class Setting extends Option {
  isNeeded = false
  isList = false
  /** A path becomes absolute once its source is known; see `userPath`. */
  isPath = false
  /** Whether a path may have a name before it, as in `NAME=PATH`; see `namedPath`. */
  mayBeNamed = false

  override makeOptionMandatory (mandatory = true): this {
    this.isNeeded = mandatory
    return this
  }

  get takesValue (): boolean {
    return this.required || this.optional
  }
}

/**
 * A setting: a flag, the environment variable `<PREFIX>_<NAME>` of the program, or a line in the configuration file, in this order. Empty
 * values are refused: an unset variable in a script must not make the working directory the archive.
 *
 * @param parse turns the text into the value; its errors become usage errors
 */
export function setting <T = string>(flags: string, description: string, parse?: (text: string) => T): Setting {
  const made = new Setting(flags, description)
  if (made.takesValue) made.argParser<T | string>(text => checked(text, () => parse === undefined ? text : parse(text)))
  return made
}

/** A setting whose value is a path. The command receives an absolute path; see `userPath`. */
export function pathSetting (flags: string, description: string): Setting {
  const made = setting(flags, description)
  made.isPath = true
  return made
}

/** A setting with several paths, each `PATH` or `NAME=PATH`. Given more than once, or as a list in the file. */
export function namedPathsSetting (flags: string, description: string): Setting {
  const made = new Setting(flags, description)
  made.isList = true
  made.isPath = true
  made.mayBeNamed = true
  // Not split at commas: paths may contain them.
  return made.argParser<readonly string[]>((text, previous = []) => [...previous, checked(text, () => text)])
}

/** An argument of a command that is a path. */
export class PathArgument extends Argument {
  /** Whether a path may have a name before it, as in `NAME=PATH`. */
  mayBeNamed = false
}

/** An argument with several paths, each with a name before it if the user wants: `NAME=PATH`. The command receives absolute paths. */
export function namedPathsArgument (name: string): PathArgument {
  const made = new PathArgument(name)
  made.mayBeNamed = true
  return made
}

/** An argument that is a path, such as `[dir]`. The command receives an absolute path; see `userPath`. */
export function pathArgument (name: string): PathArgument {
  return new PathArgument(name)
}

/** A setting with several values: given more than once, separated by commas, or as a list in the file. */
export function listSetting (flags: string, description: string): Setting {
  const made = new Setting(flags, description)
  made.isList = true
  return made.argParser<readonly string[]>((text, previous = []) => [
    ...previous,
    ...text.split(',').map(item => checked(item.trim(), () => item.trim())),
  ])
}

function checked <T>(text: string, parse: () => T): T {
  if (text === '') throw new InvalidArgumentError('The value is empty.')
  try {
    return parse()
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

/** `true`, `yes`, `on` and `1`, or `false`, `no`, `off`, `0` and the empty text. Throws USAGE. */
export function parseBoolean (text: string): boolean {
  switch (text.trim().toLowerCase()) {
    case 'true': case 'yes': case 'on': case '1': return true
    case 'false': case 'no': case 'off': case '0': case '': return false
    default: throw new FileSyncError('USAGE', `"${text}" is neither true nor false.`)
  }
}
