/**
 * A two-way stream of bytes, as a port: TCP, TLS, or memory. One reader and one writer at a time.
 */
export interface ByteStream {
  /**
   * All bytes that have arrived since the last call; waits for at least one chunk. Undefined once the peer has ended its side.
   * Rejects if the stream broke or was destroyed.
   */
  read (): Promise<readonly Uint8Array[] | undefined>
  /**
   * Accepts the bytes at once, in the order of the calls, and resolves when there is room for more. Rejects if the stream
   * broke or was destroyed. The bytes must not be changed before `onReleased` is called: by then they were copied or sent.
   */
  write (bytes: Uint8Array, onReleased?: () => void): Promise<void>
  /** Ends this side after what was written, and resolves when the bytes were handed over. */
  end (): Promise<void>
  /** Ends both sides at once and rejects pending calls with the reason. A second call has no effect. */
  destroy (reason: Error): void
}
