/** The option of the program that chooses something, such as `--state-dir`, to be named in an error. */
export interface OptionHint {
  readonly option?: string | undefined
}

/** The end of an advice: ` with --state-dir`. */
export function withOption (option: string | undefined): string {
  return option === undefined ? '' : ` with ${option}`
}
