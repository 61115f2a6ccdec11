/** What a change makes of the records, and what it tells its caller. */
export interface Change<T, R> {
  /** The very array that was given where nothing changes; then nothing is written. */
  readonly records: readonly T[]
  readonly result: R
  /** Done before anything is written; where it rejects, nothing changes. For what has to be on record before it holds. */
  readonly before?: () => Promise<void>
}

/**
 * A short list of records that outlives the process, as a port. Other processes may change it too, so nothing is
 * remembered between calls.
 */
export interface RecordStore<T> {
  /** The records as they are now. Throws STATE_INVALID where they are damaged. */
  read (): Promise<readonly T[]>
  /**
   * Reads, decides and writes as one step that no other change comes between; resolves when the result is on stable
   * storage. When `decide` throws, nothing changes and the error is passed on.
   */
  change <R>(decide: (records: readonly T[]) => Change<T, R>): Promise<R>
}
