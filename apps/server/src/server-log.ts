import type { RebuildProgress } from '@filesync/archive'
import { formatDeviceId } from '@filesync/identity'
import type { PairedClient } from '@filesync/identity'
import type { RefusedConnection } from '@filesync/identity/node'
import { formatCount, printable } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { ALPN_PAIR, formatSize } from '@filesync/protocol'
import type { UpkeepReport } from './archive/upkeep.ts'

/** Logs a refused connection. Of many refusals of one address only some are logged; the next line counts the others. */
export function logRefusal (
  { remoteAddress: address, error: { code, message }, peerId, purpose, dropped }: RefusedConnection, log: EventLog,
): void {
  const isPairing = purpose === ALPN_PAIR
  const facts = {
    address,
    code,
    message,
    ...(peerId !== undefined && { id: formatDeviceId(peerId) }),
    ...(dropped > 0 && { leftOut: dropped }),
  }
  const before = dropped > 0 ? ` (and ${dropped} times before)` : ''
  log(
    { event: isPairing ? 'pairing-failed' : 'refused', ...facts },
    `${isPairing ? 'pairing failed with' : 'refused'} ${describeAddress(address)}: ${message}${before}`,
  )
}

/** Logs that a client was paired, and what became of the area that it has or asked for. */
export function logPaired ({ peer: { id, area }, replaced, left, note, namesake }: PairedClient, address: string, log: EventLog): void {
  const facts = { area, id: formatDeviceId(id), address, ...(note !== undefined && { note }) }
  const from = left === undefined ? '' : `; the files that it has pushed to ${left} stay there`
  if (note === 'CONTINUES') {
    const old = replaced === undefined ? '' : ', and the key that it had is revoked'
    log({ event: 'paired', ...facts }, `paired with ${area} at ${address}: this machine continues the files of ${area}${old}${from}`)
  } else if (namesake === undefined) {
    log({ event: 'paired', ...facts }, `paired with ${area} at ${address}`)
  } else {
    log({ event: 'paired', ...facts, namesake }, `paired with ${area} at ${address}: the name ${namesake} belongs to another key. ` +
      `If this is the same machine, installed again, run "filesync-server pair --for ${namesake}" and pair it with that code`)
  }
}

/** Logs how many refusals of an address were not logged one by one. */
export function logMoreRefusals (address: string, count: number, log: EventLog): void {
  log({ event: 'refused-more', address, count }, `refused ${formatCount(count, 'more connection')} from ${describeAddress(address)}`)
}

/** Logs that an area lost its index, and that it has been rebuilt. */
export function logRebuilding (rebuilding: RebuildProgress, log: EventLog): void {
  const { area } = rebuilding
  if (rebuilding.state === 'begun') {
    log({ event: 'index-lost', area }, `${area}: the index has no record of the stored files and is being rebuilt; the client waits`)
  } else {
    const { files, bytes } = rebuilding
    const amount = `${formatCount(files, 'file')}, ${formatSize(bytes)}`
    log({ event: 'index-made', area, files, bytes }, `${area}: the index was rebuilt from ${amount}`)
  }
}

/** Logs what upkeep of an area did, if it did anything. */
export function logUpkeep ({ area, pruned, externalChanges }: UpkeepReport, log: EventLog): void {
  if (pruned > 0) log({ event: 'pruned', area, versions: pruned }, `${area}: removed ${formatCount(pruned, 'expired version')}`)
  const [first] = externalChanges
  if (first === undefined) return
  const paths = externalChanges.length
  log(
    { event: 'hand-made', area, paths },
    `${area}: ${formatCount(paths, 'path was', 'paths were')} changed in the archive by another program, such as ${printable(first)}; ` +
      'the next sync restores the state of the client',
  )
}

function describeAddress (address: string): string {
  return address === '' ? 'a connection' : address
}
