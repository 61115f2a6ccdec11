/** One case that every implementation of a port has to pass. Rejects with an error that says what is wrong. */
export interface ConformanceCase<T> {
  readonly name: string
  run (subject: T): Promise<void>
}

/** Throws unless the condition holds. */
export function ensure (condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise)
}
