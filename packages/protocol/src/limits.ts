/**
 * Every limit of the protocol with its reason. A peer can only lower them. docs/protocol.md has the same table, and a test
 * compares the two.
 */
export const LIMITS = {
  /** A message frame: the largest message, a page of tasks, is far smaller; a message is decoded at once. */
  messageFrameBytes: 1_048_576,
  /** A raw frame: one read of a large file or one pack of small ones; beyond 1 MiB throughput no longer grows. */
  rawFrameBytes: 1_114_112,
  /** Entries of one page of a listing, and items of one page table: a change in a directory costs a page, and the tables above it. */
  pageEntries: 1024,
  /** Entries, or items, of a page that is not the last one: a directory cannot have many more pages than it has to. */
  pageMinEntries: 128,
  /** One page: full of symbolic links with the longest names and targets. */
  pageBytes: 4_718_592,
  /** A whole listing, as a restore sends it: a directory of 1,000,000 files with long names fits. */
  listingBytes: 134_217_728,
  /** Entries of one directory: as many as a tree may have. */
  listingEntries: 8_000_000,
  /** Listings requested at once, so that neither side queues an unbounded number. */
  listingsPerRequest: 1024,
  /**
   * Directories whose listings are still to be requested: one directory may have this many below it; each takes its name and
   * some 50 bytes at the server.
   */
  listingsWaiting: 1_000_000,
  /** Listings requested in one sync: a tree of 1,000,000 new directories has to fit. */
  listingsPerSync: 1_500_000,
  /** Tasks in one page: a page of the longest tasks fits a message frame. */
  tasksPerPage: 8192,
  /** Nesting of a message: the deepest message has 4 levels. */
  messageDepth: 8,
  /** A name: what Linux, macOS and Windows file systems can store. */
  nameBytes: 255,
  /** A path: leaves room for the archive's own root below the 4096 of Linux. */
  pathBytes: 1024,
  /** Levels of directories: bounds recursion and held directory handles. */
  pathDepth: 64,
  /** The target of a symbolic link, as Linux allows at most. */
  symlinkTargetBytes: 4095,
  /** Files, or directories, of one tree: the most that a server accepts from one client. */
  treeEntries: 8_000_000,
  /** All listings of one sync together: a server keeps those in memory that differ from its own. */
  treeListingBytes: 1_073_741_824,
  /**
   * Memory of one sync at the server, as it counts it: 96 bytes for a directory that differs, plus its name and the entries that differ,
   * and 512 for a stored entry that was removed or replaced.
   */
  syncBytes: 1_610_612_736,
  /** One file: 1 PiB stays exact in a double with room for sums. */
  fileBytes: 1_125_899_906_842_624,
  /** Text for people in a message (error texts, names of machines, software versions). */
  textBytes: 4096,
  /** Problems in one message: with texts of 1024 characters of three bytes each they fit a message frame. */
  problemsPerMessage: 128,
  /** Folders of one client: with names of 255 bytes they fit a message beside its problems. */
  foldersPerClient: 256,
  /** Directories that a client reports as away; if there are more, it lists their folder as incomplete. */
  awayDirectories: 64,
  /** Files of one SAFE_QUESTION: with paths of 1024 bytes they fill half a message frame. */
  filesPerQuestion: 512,
  /** Pages of one SAFE_PAGES_QUESTION: an answer with other times for each file of them fits a message frame. */
  pagesPerQuestion: 32,
  /** Points or versions in one HISTORY_ANSWER: with paths of 1024 bytes they fill half a message frame. */
  historyPerPage: 512,
  /** A file up to this size is sent in a pack with others; larger ones are streamed. */
  packedFileBytes: 262_144,
  /** Zeros that one FILE_HOLE represents: the server hashes them like all other content, so a small message must not cost it much. */
  holeBytes: 16_777_216,
  /** A discovery datagram: fits one Ethernet frame, so it is never fragmented. */
  datagramBytes: 1400,
  /** A DISCOVER of version 2 is padded to this, so that no OFFER is larger than the DISCOVER it answers. */
  discoverBytes: 256,
  /**
   * From the opened connection to the peer's HELLO; a TLS handshake alone proves no intent. Among hundreds of clients that come
   * at once, on a machine that is busy with them, it takes seconds. Below `idleTimeoutMs`, so that a silent peer receives CLOSE.
   */
  helloTimeoutMs: 10_000,
  /** Silence after which a peer is considered dead; three heartbeats may be lost. */
  idleTimeoutMs: 15_000,
  /** Something is sent at least this often, so that the other end can detect a dead peer. */
  heartbeatMs: 4_000,
  /** How long a peer may take to accept one frame, or to finish sending one. */
  stallTimeoutMs: 60_000,
  /** How long a client whose turn it is may take to send CLIENT_FILES_INFO or listings, which it has ready. */
  turnTimeoutMs: 60_000,
  /** The same for files: a pack of a thousand small files takes minutes to read on a slow disk. */
  answerTimeoutMs: 300_000,
  /** Data sent at this rate extends the deadline by the time it takes, so a trickle cannot hold a turn. */
  leastBytesPerSecond: 256,
  /**
   * Minimum speed at which a client reads content that it hashes but does not send (RESUME, DELTA, DIGEST); its deadline is
   * extended accordingly.
   */
  rereadBytesPerSecond: 4_194_304,
  /** A client waits at least this long, whatever NEXT_SYNC says, so that a server cannot make it spin. */
  nextSyncMinMs: 1_000,
  /** A client returns within a day, whatever NEXT_SYNC says, so that a server cannot postpone it forever. */
  nextSyncMaxMs: 86_400_000,
  /** Received bytes that the session has not consumed; above this, reading stops and TCP slows the sender. */
  inboxBytes: 8_388_608,
} as const
