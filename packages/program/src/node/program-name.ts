/** What a program is called, from which its other names follow. */
export interface ProgramName {
  /** As on the command line: `hello`, `filesync-client`. */
  readonly name: string
  /**
   * What several programs share, if this is one of them: `filesync`. Then the environment variables start with `FILESYNC_`, and
   * the directories and files are `filesync/client`. By default they start with `HELLO_` and are `hello`.
   */
  readonly family?: string | undefined
}

/** The prefix of the environment variables, without the underscore: `FILESYNC`. */
export function variablePrefix ({ name, family = name }: ProgramName): string {
  return family.toUpperCase().replaceAll(/[^A-Z0-9]+/gu, '_')
}

/** The environment variable of an option: `FILESYNC_MAX_SESSIONS` for `max-sessions`. */
export function variableOf (program: ProgramName, option: string): string {
  return `${variablePrefix(program)}_${option.toUpperCase().replaceAll('-', '_')}`
}

/** The directory of the program's state, below that of all programs. */
export function stateDirectory ({ name, family }: ProgramName): readonly string[] {
  return family === undefined ? [name] : [family, memberName(name, family)]
}

/** The file of the program's settings, below the directory for those of all programs. */
export function settingsPath ({ name, family }: ProgramName): readonly string[] {
  return family === undefined ? [name, 'config.yaml'] : [family, `${memberName(name, family)}.yaml`]
}

function memberName (name: string, family: string): string {
  return name.startsWith(`${family}-`) ? name.slice(family.length + 1) : name
}
