/** The outcome of a change to the records. */
export interface RecordChange<T, R> {
  /** The new records. If it is the array that was passed in, nothing is written. */
  readonly records: readonly T[]
  readonly result: R
  /** Runs before anything is written, such as for the audit log; if it rejects, nothing changes. */
  readonly before?: () => Promise<void>
}

/**
 * A short, persistent list of records, as a port. Other processes may change it too, so nothing is cached between calls.
 */
export interface RecordStore<T> {
  /** The current records. Throws STATE_INVALID if they are damaged. */
  read (): Promise<readonly T[]>
  /**
   * Reads, decides and writes atomically with respect to other changes; resolves when the result is on stable storage. If
   * `decide` throws, nothing changes and the error is passed on.
   */
  change <R>(decide: (records: readonly T[]) => RecordChange<T, R>): Promise<R>
}
