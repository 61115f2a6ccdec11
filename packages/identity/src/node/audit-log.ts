import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import type { Audit } from '../audit.ts'
import { RefusalLimit } from '../refusal-limit.ts'
import { ensureStateDir, writing } from './private-file.ts'

const NEWLINE = 0x0a

/**
 * `<stateDir>/audit.log`: one JSON object a line, appended only, mode 0600. Pairings and revocations are on stable storage
 * when they are recorded, or it throws STATE_INVALID; of many refusals of one address some are kept, and the next kept one, or a
 * line of its own a minute later, counts the rest. A refusal that cannot be written is counted too: whether a stranger is refused does not depend on the disk.
 */
export function openAuditLog (stateDir: string, clock: Clock = systemClock): Audit {
  const path = join(stateDir, 'audit.log')
  const now = (): string => new Date(clock.nowMs()).toISOString()
  const limit = new RefusalLimit({
    clock,
    onLeftOut: ({ address, count }) => {
      void append(path, { time: now(), event: 'refuse', reason: 'as before', address, dropped: count }, false).catch(() => { limit.untold(address, count - 1) })
    },
  })
  return {
    async record (event) {
      const time = now()
      if (event.event !== 'refuse') return await append(path, { time, ...event }, true)
      const dropped = limit.take(event.address)
      if (dropped === undefined) return
      await append(path, { time, ...event, ...(dropped > 0 && { dropped }) }, false).catch(() => { limit.untold(event.address, dropped) })
    },
  }
}

async function append (path: string, line: object, isDurable: boolean): Promise<void> {
  await ensureStateDir(dirname(path))
  await writing(path, async () => {
    const file = await open(path, 'a+', 0o600)
    try {
      // A full disk can have taken a part of the line before.
      const isTorn = await lastByte(file) !== NEWLINE
      await file.appendFile(`${isTorn ? '\n' : ''}${JSON.stringify(line)}\n`)
      if (isDurable) await file.sync()
    } finally {
      await file.close()
    }
  })
}

/** A new file counts as one that ends with a line. */
async function lastByte (file: FileHandle): Promise<number> {
  const { size } = await file.stat()
  if (size === 0) return NEWLINE
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] ?? NEWLINE
}
