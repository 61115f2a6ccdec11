import { FRAME_HEADER_BYTES, LIMITS, problem, readDigestRecords } from '@filesync/protocol'
import type { Digest, HashBytes } from '@filesync/protocol'
import type { FileFault, FileSource, WantedFile } from '@filesync/transfer'
import type { LocalCopy } from './local-copies.ts'

/** What was read of a local copy: its digest, or why it cannot be compared. */
type ReadCopy = { readonly digest: Digest } | { readonly state: 'changing' | 'unreadable', readonly reason: string }

/** What was read; undefined for a copy that need not be read. */
type ReadCopies = readonly (ReadCopy | undefined)[]

/** Small files that one thread reads at a time, so that there is work for all threads. */
const GROUP_FILES = 512
const GROUP_BYTES = 4 << 20
const PIECE_BYTES = 1 << 20

/** Reads copies in the threads of the source: small files many at a time, larger ones one by one. */
export async function readCopies (
  copies: readonly LocalCopy[], { source, hash }: { readonly source: FileSource, readonly hash: HashBytes },
): Promise<ReadCopies> {
  const read: (ReadCopy | undefined)[] = []
  const groups: WantedFile[][] = []
  const large: WantedFile[] = []
  let bytes = 0
  for (const [task, copy] of copies.entries()) {
    read.push(copy.kind === 'symlink' ? { digest: hash(new TextEncoder().encode(copy.target)) } : undefined)
    if (copy.kind !== 'file') continue
    const { directory, entry } = copy
    if (entry.sizeBytes > LIMITS.packedFileBytes) {
      large.push({ task, directory, entry })
      continue
    }
    const open = groups.at(-1)
    if (open === undefined || open.length === GROUP_FILES || bytes + entry.sizeBytes > GROUP_BYTES) {
      groups.push([{ task, directory, entry }])
      bytes = entry.sizeBytes
    } else {
      open.push({ task, directory, entry })
      bytes += entry.sizeBytes
    }
  }
  const work = [
    ...large.map(file => async () => { read[file.task] = await readLarge(file, source) }),
    ...groups.map(group => async () => { for (const { task, found } of await readGroup(group, source)) read[task] = found }),
  ]
  const steps = work.values()
  await Promise.all(Array.from({ length: Math.max(1, source.parallelism) }, async () => { for (const step of steps) await step() }))
  return read
}

async function readGroup (
  group: readonly WantedFile[], source: FileSource,
): Promise<{ readonly task: number, readonly found: ReadCopy }[]> {
  const { frame, faults } = await source.readDigests(group)
  const found = faults.map(fault => ({ task: fault.task, found: faultOf(fault) }))
  if (frame === undefined) return found
  for (const { task, digest } of readDigestRecords(frame.subarray(FRAME_HEADER_BYTES))) found.push({ task, found: { digest } })
  return found
}

async function readLarge (file: WantedFile, source: FileSource): Promise<ReadCopy> {
  const stream = source.openStream({ file, content: 'NONE', offset: 0, pieceBytes: PIECE_BYTES })
  try {
    for (;;) {
      const step = await stream.next(false)
      if (step.kind === 'END') return { digest: step.digest }
      if (step.kind === 'FAULT') return faultOf(step.fault)
    }
  } finally {
    stream.close()
  }
}

function faultOf ({ code, detail }: FileFault): ReadCopy {
  const isChanging = code === 'CHANGED_DURING_READ' || code === 'VANISHED'
  const reason = `It could not be compared: ${problem('', code, detail).message}.`
  return { state: isChanging ? 'changing' : 'unreadable', reason }
}
