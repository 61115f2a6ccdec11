/** Bounds of the original program's protocol, and of what is taken from who speaks it. docs/protocol.md holds the same table. */
export const LEGACY_LIMITS = {
  /** The original reads a list of files, and a list of tasks, with one `recv(8192)`; what is longer is cut and lost. */
  recvBytes: 8_192,
  /** One segment on Ethernet: a reply this short arrives in one piece where a longer one did not. */
  segmentBytes: 1_400,
  /** CLIENT_FILES_INFO, as the server takes it from anybody; it is decoded as a whole, into several times its size. */
  listBytes: 33_554_432,
  /** Files in one CLIENT_FILES_INFO, and directories that they lie in: with names as usual they fill the bytes above. */
  listFiles: 100_000,
  /** Any other message: a path of 1024 bytes is six times as long when every letter is escaped. */
  messageBytes: 65_536,
  /** Nesting of a message: the object, its files, one file. */
  messageDepth: 3,
  /** From READY to the end of CLIENT_FILES_INFO. */
  listTimeoutMs: 60_000,
  /** Silence after which the peer is taken for dead; there are no heartbeats. */
  idleTimeoutMs: 15_000,
  /** How long the original may compare, or delete, before it answers. */
  answerTimeoutMs: 120_000,
  /** How long a client waits behind BUSY. */
  turnTimeoutMs: 600_000,
  /** How fast a peer has to send at least. */
  leastBytesPerSecond: 1_024,
  /** How far ahead a sync "at once" is set: the original cannot sleep until a time that is past, and clocks differ. */
  soonMs: 2_000,
} as const
