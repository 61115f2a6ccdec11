import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { DeviceId } from '@filesync/identity'

const MARK_BYTES = 8
/** Linux makes it at each boot; containers share that of their host. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const OF_PROCESS = randomBytes(MARK_BYTES)

/**
 * The mark for HELLO, by which a server notices that two machines use one key: the same for all processes of this client until the
 * machine restarts. Where the system has no id of a boot, it is one of this process, which suffices because only one process at a time
 * pushes with a key. The server learns nothing about the machine from it.
 */
export function runMark (client: DeviceId, bootIdFile: string = BOOT_ID): Uint8Array {
  try {
    const bootId = readFileSync(bootIdFile, 'utf8').trim()
    if (bootId === '') return OF_PROCESS
    return createHash('sha256').update(`filesync-run\0${client}\0${bootId}`).digest().subarray(0, MARK_BYTES)
  } catch {
    return OF_PROCESS
  }
}
