/** Limits of the original protocol, and of what is accepted from its peers. docs/protocol.md has the same table. */
export const LEGACY_LIMITS = {
  /** The original program reads a list of files or tasks with one `recv(8192)`, and loses the rest. */
  recvBytes: 8_192,
  /** One segment on Ethernet: a reply this short arrives in one piece, even if a longer one did not. */
  segmentBytes: 1_400,
  /** CLIENT_FILES_INFO that the server accepts; decoded, it takes several times its size. */
  listBytes: 33_554_432,
  /** Files in one CLIENT_FILES_INFO, and their directories: with usual names they fill the bytes above. */
  listFiles: 100_000,
  /** Any other message: a path of 1024 bytes is six times as long if every character is escaped. */
  messageBytes: 65_536,
  /** Nesting of a message: the object, its files, one file. */
  messageDepth: 3,
  /** From READY to the end of CLIENT_FILES_INFO. */
  listTimeoutMs: 60_000,
  /** Silence after which the peer is considered dead; there are no heartbeats. */
  idleTimeoutMs: 15_000,
  /** How long the original program may compare, or delete, before it answers. */
  answerTimeoutMs: 120_000,
  /** How long a client waits after BUSY. */
  turnTimeoutMs: 600_000,
  /** Minimum speed at which a peer must send. */
  leastBytesPerSecond: 1_024,
  /** How far ahead an immediate sync is scheduled: the original program cannot sleep until a past time, and clocks differ. */
  soonMs: 2_000,
} as const
