/** One case that every implementation of a port must pass. `run` rejects with an error that describes the failure. */
export interface ConformanceCase<T> {
  readonly name: string
  run (subject: T): Promise<void>
}

/** Throws unless the condition holds. */
export function ensure (condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message)
}
