/**
 * A two-way stream of bytes, as a port: TCP, TLS, or memory. One reader and one writer at a time.
 */
export interface ByteStream {
  /**
   * All bytes that have arrived since the last call, at least one chunk; waits for them. Undefined once the peer has
   * ended its side. Rejects when the stream broke or was destroyed.
   */
  read (): Promise<readonly Uint8Array[] | undefined>
  /**
   * Takes the bytes at once, in the order of the calls, and resolves when there is room for more. Rejects when the stream
   * broke or was destroyed. The bytes may not be changed before `onReleased` is called: they were copied then, or are out.
   */
  write (bytes: Uint8Array, onReleased?: () => void): Promise<void>
  /** Ends this side behind what was written, and resolves when the bytes were handed over. */
  end (): Promise<void>
  /** Ends both sides at once; everything that waits is rejected with the reason. Does nothing the second time. */
  destroy (reason: Error): void
}
